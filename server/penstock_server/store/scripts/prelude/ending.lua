-- ending: what the ends of executions and of tasks have in common.
local backlog, gone_leases, ended_args = {}, {}, {}

local function allowed(move, task) return MOVES[move][task.s] ~= nil end

-- Keeps the execution that ends now. `report` is opaque: what the worker sent with the end.
local function keep_execution(task, outcome, report, note, ended)
  local key = key_executions(task.namespace, task.id)
  local kept = call('RPUSH', key, cmsgpack.pack(
    {task.x, outcome, task.b, ended or now, task.w, task.a + 1, task.f, report, note or ''}))
  if kept > LIMITS.executions_kept then call('LPOP', key) end
  set(task, 'o', outcome)
  -- Only releases in a row count.
  if outcome ~= 7 then task.r = 0 end
end

local function count_backlog(namespace, tasks, bytes)
  local sums = backlog[namespace]
  if not sums then
    sums = {0, 0}
    backlog[namespace] = sums
  end
  sums[1] = sums[1] + tasks
  sums[2] = sums[2] + bytes
end

local function write_backlog()
  for namespace, sums in pairs(backlog) do
    if sums[1] ~= 0 then call('HINCRBY', key_backlog(), namespace .. ':n', sums[1]) end
    if sums[2] ~= 0 then call('HINCRBY', key_backlog(), namespace .. ':b', digits(sums[2])) end
  end
end

-- Leases are over: they leave the set of leases, and their session holds so many less.
local function let_go(namespace, queue, session, ids)
  local gone = gone_leases[namespace]
  if not gone then
    gone = {ids = {}, sessions = {}}
    gone_leases[namespace] = gone
  end
  local others, sessions = gone.ids[queue] or {}, gone.sessions
  gone.ids[queue] = others
  local count = #others
  for index, id in ipairs(ids) do others[count + index] = id end
  sessions[session] = (sessions[session] or 0) + #ids
end

local function write_let_go()
  for namespace, gone in pairs(gone_leases) do
    for queue, ids in pairs(gone.ids) do call('ZREM', key_leases(namespace, queue), unpack(ids)) end
    local held = key_held(namespace)
    for session, count in pairs(gone.sessions) do
      if call('HINCRBY', held, session, -count) <= 0 then call('HDEL', held, session) end
    end
  end
  gone_leases = {}
end

-- Where the task's idempotency key is kept; nil if it has none, or if a later task has it by now.
local function own_key(task)
  local key = task.ik and key_idempotency(task.namespace, task.q, task.ik)
  local value = key and call('GET', key)
  return value and string.sub(value, 1, 26) == task.id and key or nil
end

-- An idempotency key is remembered at least as long as its task lives, then until its window is over.
local function release_key(task)
  local key = own_key(task)
  if key then call('PEXPIREAT', key, digits(math.max(task.iw, now + 1))) end
end

-- What follows from an end that its record has. The caller has taken the task out of the sets it was in.
--   told   its event
--   knows  a server that learns of the end from the answer, if one does
local function follow_end(task, told, knows)
  local goes = now + (task.rt or (task.s == 6 and LIMITS.dead_age_ms or LIMITS.ended_age_ms))
  local args = #ended_args
  ended_args[args + 1], ended_args[args + 2] = digits(goes), task.namespace .. ':' .. task.id
  if task.s == 6 then call('ZADD', key_dead(task.namespace, task.q), digits(now), task.id) end
  count_backlog(task.namespace, -1, -task.n)
  if task.ik then release_key(task) end
  if task.wt then tell_waiting(task.wt, task.namespace, task.id, knows) end
  emit(task.namespace, task.q, task.y, task.id, told)
end

-- Ends the task. The caller has taken it out of the sets it was in.
--   outcome  of the execution that ended with it, if one did
--   reason   why it was cancelled, if it was
--   extra    what its event tells besides, in words
local function end_task(task, state, kind, outcome, reason, extra)
  task.s, task.sq, task.e = state, task.sq + 1, now
  if reason then set(task, 'cr', reason) end
  save(task)
  follow_end(task,
    event(kind, task.sq, state, outcome and task.x, outcome, task.a, reason, 0, outcome and task.w, extra))
end

-- Makes a task wait: ready at once with its old time, or scheduled if `due_ms` is later than now.
local function wait_again(task, kind, due_ms, outcome, extra)
  local state = due_ms > now and 2 or 3
  task.s, task.sq = state, task.sq + 1
  set(task, 'u', now)
  if state == 2 then set(task, 'd', due_ms) end
  if state == 3 then make_ready(task.namespace, task.q, task.y, task.g, task.p, task.d or task.c, task.id) end
  set_timer(task.namespace, task.q, state, waiting_timer(state, due_ms, task.ts, task.tt), task.id)
  tell_waiting(task.wt, task.namespace, task.id)
  emit(task.namespace, task.q, task.y, task.id,
    event(kind, task.sq, state, outcome and task.x, outcome, task.a, 0, state == 2 and due_ms, outcome and task.w, extra))
end

local function write_all()
  write_tasks()
  write_waiting()
  if #ended_args > 0 then call('ZADD', key_ended(), unpack(ended_args)) end
  write_backlog()
  write_let_go()
  write_events()
  send_notes()
end
