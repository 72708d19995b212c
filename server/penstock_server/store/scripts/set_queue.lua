-- set_queue: pauses, resumes or configures a queue, or makes it.
--   uses   base notes
--   calls  read_queues
--   input  {namespace, queue, what, value, version or -1}; what: pause (value is the reason) · resume · config
--   gives  {word, what read_queues gives, packed, if it is ok}; words: ok · not_found · changed · too_many_queues
--   safe to repeat: yes, without a version
local namespace, queue, what, value, version = input[1], input[2], input[3], input[4], input[5]
local key = key_queue(namespace, queue)
local fields = call('HMGET', key, 'e', 'v')
if not fields[1] then
  if what == 'resume' then return cmsgpack.pack({'not_found'}) end
  if call('ZCARD', key_queues(namespace)) >= LIMITS.queues_per_namespace then return cmsgpack.pack({'too_many_queues'}) end
end
if what == 'config' and version >= 0 and (tonumber(fields[2]) or 0) ~= version then return cmsgpack.pack({'changed'}) end
if not fields[1] then
  call('HSET', key, 'e', '0', 'c', now_text)
  call('ZADD', key_queues(namespace), 0, queue)
end
if what == 'pause' then
  call('HSET', key, 'pz', value)
elseif what == 'resume' then
  call('HDEL', key, 'pz')
  wake(namespace, queue)
else
  call('HSET', key, 'cf', value)
  call('HINCRBY', key, 'v', 1)
end
send_notes()
return cmsgpack.pack({'ok', read_queues({{namespace, queue}})})
