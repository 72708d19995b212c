-- touch_session: notes what worker sessions say of themselves.
--   uses   base
--   input  {{namespace, session, description, queues, types} …}; an empty description: only seen
--   gives  {now}
--   safe to repeat: yes
for _, item in ipairs(input) do
  local namespace, session = item[1], item[2]
  local key = key_session(namespace, session)
  if item[3] ~= '' then
    call('HSETNX', key, 'c', now_text)
    call('HSET', key, 'd', item[3], 'q', cmsgpack.pack(item[4]), 'y', cmsgpack.pack(item[5]))
  end
  if call('EXISTS', key) == 1 then
    call('HSET', key, 'at', now_text)
    -- A day: executions are shown with the names of their workers.
    call('PEXPIRE', key, 86400000)
    call('ZADD', key_sessions(namespace), digits(now), session)
  end
  call('ZREMRANGEBYSCORE', key_sessions(namespace), '-inf', digits(now - 600000))
  call('PEXPIRE', key_sessions(namespace), 600000)
end
return cmsgpack.pack({now})
