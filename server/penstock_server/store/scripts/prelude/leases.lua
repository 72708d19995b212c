-- leases: what the scripts about running tasks have in common.

-- Whether the token proves the task's lease: 'ok', 'ended' if its execution ended under this very token, or 'lease_lost'.
local function proof(task, fence, random)
  if not task or task.t ~= random or task.f ~= fence then return 'lease_lost' end
  return task.s == 4 and 'ok' or 'ended'
end

-- A report under a token whose execution has ended: fine if it tells the same end again.
local function told_again(task, outcome)
  if outcome == 1 or task.s == 5 then return outcome == 1 and task.s == 5 and 'ok' or 'lease_lost' end
  return task.o == outcome and 'ok' or 'lease_lost'
end

local function cancel_directive(task) return task.id .. '-' .. task.x end

-- Afterwards `task.cancelled` is the deadline of the cancel that was under way, if one was.
local function drop_lease(task)
  let_go(task.namespace, task.q, task.w, {task.id})
  if task.cq then
    task.cancelled = task.cq
    set(task, 'cq', nil)
    call('HDEL', key_directives(task.namespace, task.w), cancel_directive(task))
  end
end

-- The server takes the lease away: its token must prove nothing any more.
local function revoke(task)
  drop_lease(task)
  task.t = false
  save(task)
end

-- When the lease, or a timeout of its execution, runs out.
local function lease_timer(task, term_ms)
  local timer = now + term_ms
  if task.to then timer = math.min(timer, task.b + task.to) end
  if task.hb then timer = math.min(timer, (task.hs or task.b) + task.hb) end
  if task.tt then timer = math.min(timer, task.tt) end
  if task.cq then timer = math.min(timer, task.cq) end
  return timer
end

local function set_lease_timer(task, timer)
  call('ZADD', key_leases(task.namespace, task.q), digits(timer), task.id)
  call('ZADD', key_lease_queues(), 'LT', digits(timer), task.namespace .. ':' .. task.q)
end

-- The execution failed, timed out, crashed or was lost: the task is cancelled, waits for its next one, or is buried.
--   failure  {outcome, retryable, kind, report, random 0..1, summary, note}
local function judge(task, failure)
  local policy = policy_of(task.namespace, task.id)
  local outcome = failure.outcome
  keep_execution(task, outcome, failure.report, failure.note)
  if task.cancelled or outcome == 4 then return end_task(task, 7, 10, outcome, 1, failure.summary) end
  local crashed = outcome == 5 or outcome == 6
  if crashed then task.k = task.k + 1 else task.a = task.a + 1 end
  local attempts, crashes = task.a - (task.a0 or 0), task.k - (task.k0 or 0)
  local hopeless = crashes > policy.max_crashes or attempts >= policy.max_attempts
  if not crashed then
    hopeless = hopeless or not failure.retryable
    for _, kind in ipairs(policy.non_retryable_kinds) do hopeless = hopeless or kind == failure.kind end
  end
  if hopeless then return end_task(task, 6, 7, outcome, nil, failure.summary) end
  wait_again(task, 6, crashed and 0 or now + backoff(policy, attempts, failure.random), outcome, failure.summary)
end

-- Gives the lease back: ready again at once, later if it goes on like this, and a dead letter in the end.
--   reason   as ReleaseReason; shutdowns, lost replies and outages are borne with longer than what a worker refuses
local function give_back(task, reason, report, note)
  keep_execution(task, 7, report, note)
  if task.cancelled then return end_task(task, 7, 10, 7, 1) end
  task.r = task.r + 1
  if task.r > LIMITS.releases_in_a_row then
    return end_task(task, 6, 7, 7, nil, 'released ' .. LIMITS.releases_in_a_row .. ' times in a row')
  end
  local steps = (reason == 3 or reason == 4) and task.r or task.r - 3
  wait_again(task, 8, steps > 0 and now + math.min(1000 * 2 ^ (steps - 1), 60000) or 0, 7)
end
