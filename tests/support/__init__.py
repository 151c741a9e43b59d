"""What the tests stand on: real servers on loopback, real R, and fakes of upstreams that are real servers too."""
