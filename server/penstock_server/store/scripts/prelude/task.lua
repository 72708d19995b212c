-- task: the record of a task, a msgpack map of TASK_FIELDS.
--   A call reads a record once and has one table of it, however often it asks; what it changes it writes at its end,
--   together with all else that it has put aside. A stub has a lifetime, which this would end: nothing changes a stub.
local DEFAULTS = {__index = {g = '', p = 5, a = 0, x = 0, k = 0, r = 0}}
local tasks, changed, marked, put_aside = {}, {}, {}, {}

local function write_later(key, value)
  local count = #put_aside
  put_aside[count + 1], put_aside[count + 2] = key, value
end

local function known_task(namespace, id, key, task)
  task.namespace, task.id, task.key = namespace, id, key
  tasks[key] = setmetatable(task, DEFAULTS)
  return task
end

-- The tasks of {namespace, id} items, in their order; false for one that is not there.
local function read_tasks(items)
  local found, keys, positions = {}, {}, {}
  for position, item in ipairs(items) do
    local key = key_task(item[1], item[2])
    local task = tasks[key]
    found[position] = task
    if task == nil then
      keys[#keys + 1], positions[#positions + 1] = key, position
    end
  end
  if #keys == 0 then return found end
  for index, packed in ipairs(call('MGET', unpack(keys))) do
    local key, position = keys[index], positions[index]
    if tasks[key] == nil then -- it may stand among the items twice
      tasks[key] = packed and known_task(items[position][1], items[position][2], key, cmsgpack.unpack(packed))
    end
    found[position] = tasks[key]
  end
  return found
end

local function read_task(namespace, id) return read_tasks({{namespace, id}})[1] end

-- The record as it is kept. What scripts note in the table for themselves is no part of it.
local function packed_task(task)
  local namespace, id, key, cancelled = task.namespace, task.id, task.key, task.cancelled
  task.namespace, task.id, task.key, task.cancelled = nil, nil, nil, nil
  local packed = cmsgpack.pack(task)
  task.namespace, task.id, task.key, task.cancelled = namespace, id, key, cancelled
  return packed
end

-- To be called once a field of the task was changed.
local function save(task)
  if marked[task] then return end
  marked[task] = true
  changed[#changed + 1] = task
end

local function write_tasks()
  for _, task in ipairs(changed) do write_later(task.key, packed_task(task)) end
  if #put_aside > 0 then call('MSET', unpack(put_aside)) end
  changed, marked, put_aside = {}, {}, {}
end
