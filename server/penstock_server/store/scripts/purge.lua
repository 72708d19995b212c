-- purge: takes everything that waits out of a queue at once; `sweep` cancels the tasks afterwards.
--   uses   base
--   input  {namespace, queue}
--   gives  {word, count of tasks}; words: ok · not_found
--   safe to repeat: yes
local namespace, queue = input[1], input[2]
local epoch = call('HGET', key_queue(namespace, queue), 'e')
if not epoch then return cmsgpack.pack({'not_found', 0}) end
local count = call('ZCARD', key_due(namespace, queue, epoch))
for _, ready in ipairs(call('HVALS', key_types(namespace, queue, epoch))) do count = count + tonumber(ready) end
if count > 0 then
  call('HINCRBY', key_queue(namespace, queue), 'e', 1)
  call('RPUSH', key_purges(), namespace .. ':' .. queue .. ':' .. epoch)
  call('ZREM', key_due_queues(), namespace .. ':' .. queue)
end
return cmsgpack.pack({'ok', count})
