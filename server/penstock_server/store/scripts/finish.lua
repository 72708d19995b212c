-- finish: ends a task without a lease, as an operator.
--   uses   base task events notes waiting policy ending leases
--   input  {namespace, id, state (5 or 6), report}
--   gives  {word, state}; words: ok · not_found · conflict
--   safe to repeat: yes, for the same end
local BY_OPERATOR = 9 -- no outcome of an execution that a worker had
local namespace, id, state = input[1], input[2], input[3]
local task = read_task(namespace, id)
if not task then return cmsgpack.pack({'not_found', 0}) end
if task.s == state and task.o == BY_OPERATOR then return cmsgpack.pack({'ok', state}) end
if not allowed(state == 5 and 'succeed' or 'bury', task) then return cmsgpack.pack({'conflict', task.s}) end
if task.s == 4 then
  revoke(task)
  keep_execution(task, 4, '', 'an operator ended the task')
else
  unwait(namespace, task.q, task.y, task.g, id)
  task.t = false
end
-- The operator's word is an execution of its own, which nobody leased.
local start, session, fence = task.b or false, task.w or false, task.f or false
task.x, task.b, task.w, task.f = task.x + 1, now, '', fence or 0
keep_execution(task, state == 5 and 1 or 2, input[4], 'ended by an operator')
task.b, task.w, task.f = start, session, fence
set(task, 'o', BY_OPERATOR)
end_task(task, state, state == 5 and 5 or 7)
write_all()
return cmsgpack.pack({'ok', state})
