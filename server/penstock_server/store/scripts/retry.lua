-- retry: runs an ended task again, or a waiting one at once, optionally with another spec.
--   uses   base task events notes waiting policy ending leases
--   input  {namespace, id, request id or "", due ms or 0, delay ms, spec or "", priority, fairness key, timers}
--          the last four count only with a spec
--   gives  {word, state}; words: ok · existing · not_found · conflict
--   safe to repeat: with a request id
local namespace, id, request_id = input[1], input[2], input[3]
if request_id ~= '' then
  local done = call('GET', key_request(namespace, request_id))
  if done then return cmsgpack.pack({'existing', (read_task(namespace, id) or {s = 0}).s}) end
end
local task = read_task(namespace, id)
if not task then return cmsgpack.pack({'not_found', 0}) end
local due = input[4]
if due == 0 and input[5] > 0 then due = now + input[5] end
local full = call('EXISTS', key_spec(namespace, id)) == 1
if not full or not allowed(due > now and 'retry_later' or 'retry', task) then
  return cmsgpack.pack({'conflict', task.s})
end

local function take_out()
  if task.s == 2 then return unwait(namespace, task.q, task.y, task.g, id) end
  call('ZREM', key_ended(), namespace .. ':' .. id)
  call('ZREM', key_dead(namespace, task.q), id)
  if task.re then keep_execution(task, 1, task.re, '', task.e) end
  task.e, task.t, task.re = false, false, false
  set(task, 'o', nil)
  set(task, 'cr', nil)
  local key = own_key(task)
  if key then call('PERSIST', key) end
  count_backlog(namespace, 1, task.n)
  return true
end

local function edit()
  local spec = input[6]
  call('SET', key_spec(namespace, id), spec)
  count_backlog(namespace, 0, #spec - task.n)
  task.n, task.p, task.g = #spec, input[7], input[8]
  for _, name in ipairs({'L', 'to', 'hb', 'ts', 'tt', 'rt'}) do set(task, name, nil) end
  for name, value in pairs(input[9]) do set(task, name, name == 'tt' and now + value or value) end
end

if not take_out() then return cmsgpack.pack({'conflict', 7}) end
if input[6] ~= '' then edit() elseif task.tt and task.tt <= now then
  -- A total time that ran out long ago would end the task again at once.
  set(task, 'tt', nil)
end
task.r = 0
set(task, 'a0', task.a)
set(task, 'k0', task.k)
set(task, 'd', now)
wait_again(task, 11, due)
if request_id ~= '' then
  call('SET', key_request(namespace, request_id), id, 'PX', digits(LIMITS.request_window_ms))
end
write_all()
return cmsgpack.pack({'ok', task.s})
