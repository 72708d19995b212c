-- task: reads the hash of a task.
local NUMBERS = {s = true, c = true, u = true, d = true, sq = true, a = true, a0 = true, x = true, k = true, k0 = true,
  r = true, f = true, b = true, ac = true, o = true, e = true, n = true, cr = true, cq = true, ll = true, L = true,
  to = true, hb = true, hs = true, ts = true, tt = true, rt = true, iw = true, p = true}

-- One pass over the whole hash: asking for single fields would search it once for each.
local function read_task(namespace, id)
  local key = key_task(namespace, id)
  local fields = call('HGETALL', key)
  if #fields == 0 then return nil end
  local task = {namespace = namespace, id = id, key = key, g = '', p = 5, a = 0, x = 0, k = 0, r = 0}
  for position = 1, #fields, 2 do
    local field, value = fields[position], fields[position + 1]
    task[field] = NUMBERS[field] and value + 0 or value
  end
  task.d = task.d or task.c
  return task
end
