-- reap: takes away leases that ran out, and ends executions whose time is over.
--   uses   base task events notes waiting policy ending leases
--   input  {longest pause of this duty ms, most tasks, random 0..1}
--   gives  {word, {namespace, queue, outcome, id} for each task, more left}; words: ok · guarded
--   safe to repeat: yes
--   After a pause of the duty (an outage, or a jump of the clock) nothing is taken away for one full term: workers could
--   not renew meanwhile.
local limit, random = input[2], input[3]
local taken = {}

local function guarded()
  local fields = call('HMGET', key_reaper(), 'at', 'until')
  local at, guard = tonumber(fields[1]), tonumber(fields[2]) or 0
  if at and (now - at > input[1] or now < at) then guard = now + LIMITS.lease_term_ms end
  call('HSET', key_reaper(), 'at', now_text, 'until', digits(guard))
  return now < guard
end

local function session_lives(task)
  return (tonumber(call('HGET', key_poll(task.namespace, task.w), 'at')) or 0) > task.b
end

-- Which end the time that ran out means. Order: what an operator asked for, what the task asked for, then the lease.
local function reap(task)
  if task.cancelled and task.cancelled <= now then
    judge(task, {outcome = 4, report = '', random = random, note = 'cancelled: its grace ran out'})
    return 4
  end
  if task.tt and task.tt <= now then
    keep_execution(task, 3, '', 'timed out: its total time ran out')
    end_task(task, 7, 10, 3, 5)
    return 3
  end
  local accepted = task.ac == task.x
  local overtime = task.to and task.b + task.to <= now and 'start to close'
    or task.hb and (task.hs or task.b) + task.hb <= now and 'heartbeat'
  -- What nobody accepted was not started, as far as is known: that is no failure of its handler.
  if accepted and overtime then
    judge(task, {outcome = 3, retryable = true, kind = 'penstock.Timeout', report = '', random = random,
      summary = 'timed out: ' .. overtime, note = 'timed out: ' .. overtime})
    return 3
  end
  if not accepted and session_lives(task) then
    give_back(task, 2, '', 'the answer that carried the lease was lost')
    return 7
  end
  judge(task, {outcome = 6, retryable = true, kind = 'penstock.LeaseLost', report = '', random = random,
    summary = 'lease lost', note = 'the lease ran out'})
  return 6
end

local function reap_queue(namespace, queue)
  local key = key_leases(namespace, queue)
  for _, id in ipairs(call('ZRANGEBYSCORE', key, '-inf', digits(now), 'LIMIT', 0, limit)) do
    limit = limit - 1
    local task = read_task(namespace, id)
    if task and task.s == 4 then
      revoke(task)
      taken[#taken + 1] = {namespace, queue, reap(task), id}
    else
      call('ZREM', key, id)
    end
  end
  write_let_go()
  local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')
  if #first == 0 then return call('ZREM', key_lease_queues(), namespace .. ':' .. queue) end
  call('ZADD', key_lease_queues(), first[2], namespace .. ':' .. queue)
end

if guarded() then return cmsgpack.pack({'guarded', {}, 0}) end
for _, name in ipairs(call('ZRANGEBYSCORE', key_lease_queues(), '-inf', digits(now), 'LIMIT', 0, 1000)) do
  if limit <= 0 then break end
  local namespace, queue = string.match(name, '^([^:]+):(.+)$')
  reap_queue(namespace, queue)
end
write_all()
return cmsgpack.pack({'ok', taken, limit <= 0 and 1 or 0})
