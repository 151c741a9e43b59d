"""Every page in a real browser: with script, without, by keyboard, on a phone; and with texts that mean harm."""
