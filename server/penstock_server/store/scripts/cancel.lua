-- cancel: cancels waiting tasks at once, and asks for the end of running ones.
--   uses   base task events notes waiting policy ending leases
--   input  {namespaces, ids, graces in ms or -1}, a value in each for every task
--   gives  {word, state} for each task; words: ok · asked · not_found · conflict
--   safe to repeat: yes; a later cancel can only shorten the grace
local function ask(task, grace)
  if grace < 0 then grace = policy_of(task.namespace, task.id).cancel_grace_ms end
  local deadline = now + grace
  if task.cq and task.cq <= deadline then return {'asked', 4} end
  local first = not task.cq
  set(task, 'cq', deadline)
  set(task, 'u', now)
  local known = tonumber(call('ZSCORE', key_leases(task.namespace, task.q), task.id)) or deadline
  set_lease_timer(task, math.min(known, deadline))
  local directives = key_directives(task.namespace, task.w)
  call('HSET', directives, cancel_directive(task),
    cmsgpack.pack({'cancel', cancel_directive(task), task.id, task.f, task.t, deadline, ''}))
  call('PEXPIRE', directives, 7200000)
  call('PUBLISH', 'penstock:directives', task.namespace .. ':' .. task.w)
  if first then
    task.sq = task.sq + 1
    emit(task.namespace, task.q, task.y, task.id, event(9, task.sq, 4, task.x, 0, task.a, 0, 0, task.w))
  end
  return {'asked', 4}
end

local function cancel(task, grace)
  if not task then return {'not_found', 0} end
  if task.s == 7 then return {'ok', 7} end
  if not allowed('cancel', task) then return {'conflict', task.s} end
  if task.s == 4 then return ask(task, grace) end
  local there = unwait(task.namespace, task.q, task.y, task.g, task.id)
  end_task(task, 7, 10, nil, there and 1 or 3)
  return {'ok', 7}
end

local namespaces, ids, graces = unpack(input)
local answers = {}
for index, task in ipairs(read_tasks(namespaces, ids)) do answers[index] = cancel(task, graces[index]) end
write_all()
return cmsgpack.pack(answers)
