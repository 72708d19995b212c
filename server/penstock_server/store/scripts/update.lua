-- update: changes the spec, priority or time of a waiting task.
--   uses   base task events notes waiting policy ending
--   input  {namespace, id, sequence that was read, spec, priority, due ms or -1 to keep}
--   gives  {word, state}; words: ok · not_found · conflict · changed
--   safe to repeat: the second time answers changed
local namespace, id = input[1], input[2]
local task = read_task(namespace, id)
if not task then return cmsgpack.pack({'not_found', 0}) end
if not allowed('update', task) then return cmsgpack.pack({'conflict', task.s}) end
if task.sq ~= input[3] then return cmsgpack.pack({'changed', task.s}) end
if not unwait(namespace, task.q, task.y, task.g, id) then return cmsgpack.pack({'conflict', 7}) end
local spec, due = input[4], input[6]
call('SET', key_spec(namespace, id), spec)
count_backlog(namespace, 0, #spec - task.n)
task.n, task.p = #spec, input[5]
if due < 0 then due = task.s == 2 and task.d or 0 elseif due <= now then set(task, 'd', now) end
wait_again(task, 12, due)
write_all()
return cmsgpack.pack({'ok', task.s})
