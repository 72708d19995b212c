-- delete: removes the records of ended tasks.
--   uses   base task events notes waiting policy ending
--   input  {namespaces, ids}, a value in each for every task
--   gives  {word, state} for each task; words: ok · not_found · conflict
--   safe to repeat: yes, the second time answers not_found
local function delete(task)
  if not task then return {'not_found', 0} end
  if not allowed('delete', task) then return {'conflict', task.s} end
  local namespace, id, key = task.namespace, task.id, own_key(task)
  if key then call('UNLINK', key) end
  forget(task)
  call('UNLINK', key_spec(namespace, id), task.key, key_executions(namespace, id),
    key_progress(namespace, id), key_logs(namespace, id))
  call('ZREM', key_ended(), namespace .. ':' .. id)
  call('ZREM', key_dead(namespace, task.q), id)
  tell_waiting(task.wt, namespace, id)
  emit(namespace, task.q, task.y, id, event(13, task.sq + 1, task.s))
  return {'ok', task.s}
end

local answers = {}
for index, task in ipairs(read_tasks(input[1], input[2])) do
  -- The same one may stand there twice.
  answers[index] = delete(task and read_task(task.namespace, task.id))
end
write_all()
return cmsgpack.pack(answers)
