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
local function unpacked_task(namespace, id, key, readable, ...)
  if not readable or select('#', ...) ~= TASK_VALUES then return false end
  local task = task_of(namespace, id, key, ...)
  if task.rare then
    for name, value in pairs(task.rare) do task[name] = value end
  end
  return task
end

-- false if there is none.
local function read_task(namespace, id)
  local key = key_task(namespace, id)
  if tasks[key] == nil then
    local packed = call('MGET', key)[1] -- GET would raise where something else than a string is
    tasks[key] = packed and unpacked_task(namespace, id, key, pcall(cmsgpack.unpack, packed))
  end
  return tasks[key]
end

-- The tasks of {namespace, id} items, in their order; false for one that is not there.
local function read_tasks(items)
  local found, keys, positions = {}, {}, {}
  for position, item in ipairs(items) do
    local key = key_task(item[1], item[2])
    local task = tasks[key]
    found[position] = task or false
    if task == nil then
      keys[#keys + 1], positions[#positions + 1] = key, position
    end
  end
  if #keys == 0 then return found end
  for index, packed in ipairs(call('MGET', unpack(keys))) do
    local key, position = keys[index], positions[index]
    if tasks[key] == nil then -- it may stand among the items twice
      local item = items[position]
      tasks[key] = packed and unpacked_task(item[1], item[2], key, pcall(cmsgpack.unpack, packed))
    end
    found[position] = tasks[key]
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

local function packed_task(task) return cmsgpack.pack(values_of(task)) end

local function write_tasks()
  for _, task in ipairs(changed) do
    write_later(task.key, packed_task(task))
    task.changed = false
  end
  if #put_aside > 0 then call('MSET', unpack(put_aside)) end
  changed, put_aside = {}, {}
end
