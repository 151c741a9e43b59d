-- wrk's own counters as one line of JSON; nothing runs while it measures.
done = function(summary)
  local e = summary.errors
  io.write(string.format(
    'report {"requests": %.0f, "bytes": %.0f, "microseconds": %.0f, "status": %.0f, "connect": %.0f, "read": %.0f, "write": %.0f, "timeout": %.0f}\n',
    summary.requests, summary.bytes, summary.duration, e.status, e.connect, e.read, e.write, e.timeout))
end
