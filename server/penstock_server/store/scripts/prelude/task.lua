-- task: the record of a task, and what a script has at hand of it: a table with namespace, id, key and all fields.
--   A script reads a record once and has one table of it, however often it asks; what it changes is written at the end,
--   together with all else that was put aside. A stub has a lifetime, which that would end: nothing changes a stub.
--   TASK_FIELDS stand one behind the other, not in a map: a table of known size is filled at once, and does not grow by
--   steps. RARE_TASK_FIELDS are changed by `set` only, and stand in `task.rare` too, which is kept as it is; whoever changes
--   another one calls `save`.
local tasks, changed, put_aside = {}, {}, {}

local function write_later(key, value)
  local count = #put_aside
  put_aside[count + 1], put_aside[count + 2] = key, value
end

-- A record that something else has written over is none: every script steps over it, and `audit` tells of it.
local function known_task(namespace, id, key, record)
  local task = record and unpacked_task(namespace, id, key, record)
  if task and task.rare then
    for name, value in pairs(task.rare) do task[name] = value end
  end
  tasks[key] = task
  return task
end

-- false if there is none.
local function read_task(namespace, id)
  local key = key_task(namespace, id)
  if tasks[key] == nil then
    -- GET would raise where something else than a string is.
    return known_task(namespace, id, key, call('MGET', key)[1])
  end
  return tasks[key]
end

-- The tasks of these namespaces and ids, in their order; false for one that is not there.
local function read_tasks(namespaces, ids)
  local found, keys, positions, count = {}, {}, {}, 0
  for position, id in ipairs(ids) do
    local key = key_task(namespaces[position], id)
    local task = tasks[key]
    found[position] = task or false
    if task == nil then
      count = count + 1
      keys[count], positions[count] = key, position
    end
  end
  if count == 0 then return found end
  for index, record in ipairs(call('MGET', unpack(keys))) do
    local key, position = keys[index], positions[index]
    local task = tasks[key] -- it may be asked for twice
    if task == nil then task = known_task(namespaces[position], ids[position], key, record) end
    found[position] = task
  end
  return found
end

local function save(task)
  if task.changed then return end
  task.changed = true
  changed[#changed + 1] = task
end

local function set(task, name, value)
  task.rare = task.rare or {}
  task[name], task.rare[name] = value, value
  save(task)
end

-- Its keys are removed by the caller.
local function forget(task) tasks[task.key] = false end

local function write_tasks()
  for _, task in ipairs(changed) do
    write_later(task.key, packed_task(task))
    task.changed = false
  end
  if #put_aside > 0 then call('MSET', unpack(put_aside)) end
  changed, put_aside = {}, {}
end
