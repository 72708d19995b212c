-- pass_on: wakes the next server that waits for a queue, if the queue has ready tasks.
--   uses   base notes
--   input  {namespace, queue}
--   gives  {}
--   safe to repeat: yes
local namespace, queue = input[1], input[2]
local epoch = call('HGET', key_queue(namespace, queue), 'e')
if epoch and call('EXISTS', key_types(namespace, queue, epoch)) == 1 then wake(namespace, queue) end
send_notes()
return cmsgpack.pack({})
