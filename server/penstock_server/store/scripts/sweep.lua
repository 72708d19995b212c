-- sweep: cancels tasks of purged epochs, a chunk for each call.
--   uses   base task events notes waiting policy ending
--   input  {most tasks}
--   gives  {count of tasks, more left}
--   safe to repeat: yes
local limit, swept = input[1], 0

-- It was cancelled and retried since the purge, and waits anew.
local function waits_anew(task)
  local q = queue_of(task.namespace, task.q)
  if not q then return false end
  return call('ZSCORE', key_ready(task.namespace, task.q, q.epoch, task.y, task.g), task.id)
    or call('ZSCORE', key_due(task.namespace, task.q, q.epoch), task.id)
end

local function sweep(namespace, id)
  local task = read_task(namespace, id)
  if task and (task.s == 2 or task.s == 3) and not waits_anew(task) then
    swept = swept + 1
    end_task(task, 7, 10, nil, 3)
  end
end

local function sweep_set(namespace, key)
  local popped = call('ZPOPMIN', key, limit)
  for position = 1, #popped, 2 do sweep(namespace, popped[position]) end
  limit = limit - #popped / 2
  return call('EXISTS', key) == 0
end

local function sweep_type(namespace, queue, epoch, type)
  local groups = key_groups(namespace, queue, epoch, type)
  while limit > 0 do
    local group = call('ZRANGE', groups, 0, 0)[1]
    if not group then return true end
    if sweep_set(namespace, key_ready(namespace, queue, epoch, type, group)) then call('ZREM', groups, group) end
  end
  return false
end

local function sweep_epoch(name)
  local namespace, queue, epoch = string.match(name, '^([^:]+):([^:]+):(.+)$')
  if not sweep_set(namespace, key_due(namespace, queue, epoch)) then return false end
  call('UNLINK', key_expiring(namespace, queue, epoch))
  local types = key_types(namespace, queue, epoch)
  for _, type in ipairs(call('HKEYS', types)) do
    if limit <= 0 or not sweep_type(namespace, queue, epoch, type) then return false end
    call('HDEL', types, type)
  end
  return true
end

local name = call('LINDEX', key_purges(), 0)
if name and sweep_epoch(name) then call('LPOP', key_purges()) end
local left = call('LLEN', key_purges())
write_all()
return cmsgpack.pack({swept, left > 0 and 1 or 0})
