-- renew: begins the terms of leases anew, notes progress, and says which tasks are to be cancelled.
--   uses   base task events notes waiting policy ending leases
--   input  {{{namespace, session} …}, {namespaces, ids, fences, random bits, progress or ""}}, in the second a value in each
--          for every task
--   gives  {word, term ms, cancel requested} for each task; words: ok · lease_lost
--   safe to repeat: yes
--   An expired lease that was not reaped yet is renewed: nobody else has the task.
local function note_progress(task, progress)
  call('SET', key_progress(task.namespace, task.id), cmsgpack.pack({now, progress}))
  task.sq = task.sq + 1
  set(task, 'hs', now)
  emit(task.namespace, task.q, task.y, task.id, event(4, task.sq, 4, task.x, 0, task.a, 0, 0, task.w, progress))
end

local function renew(task, progress)
  if progress ~= '' then note_progress(task, progress) end
  if task.ac ~= task.x then
    -- The handler starts now: its silence is counted from here.
    set(task, 'ac', task.x)
    set(task, 'hs', now)
  end
  local term = task.L or LIMITS.lease_term_ms
  set_lease_timer(task, lease_timer(task, term))
  return {'ok', term, task.cq and 1 or 0}
end

local namespaces, ids, fences, randoms, progress = unpack(input[2])
local answers = {}
for index, task in ipairs(read_tasks(namespaces, ids)) do
  if proof(task, fences[index], randoms[index]) == 'ok' then
    answers[index] = renew(task, progress[index])
  else
    answers[index] = {'lease_lost', 0, 0}
  end
end
for _, session in ipairs(input[1]) do
  call('HSET', key_poll(session[1], session[2]), 'at', now_text)
  call('PEXPIRE', key_poll(session[1], session[2]), 3600000)
end
write_all()
return cmsgpack.pack(answers)
