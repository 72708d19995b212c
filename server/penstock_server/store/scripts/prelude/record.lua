-- record: a task as it is read: {fields, values}, spec or "", last execution or "", progress or "", end of lease or record or ""

-- When the lease runs out, or when the full record of an ended task may go.
local function time_of(namespace, id, hash)
  if hash.s == '4' then return call('ZSCORE', key_leases(namespace, hash.q), id) end
  return tonumber(hash.s) >= 5 and call('ZSCORE', key_ended(), namespace .. ':' .. id)
end

-- The record, and the hash by field name; nothing if there is no such task. `full`: with the spec.
local function record_of(namespace, id, full)
  local fields = call('HGETALL', key_task(namespace, id))
  if #fields == 0 then return {}, nil end
  local hash = {}
  for position = 1, #fields, 2 do hash[fields[position]] = fields[position + 1] end
  return {fields,
    full and call('GET', key_spec(namespace, id)) or '',
    tonumber(hash.x) and call('LINDEX', key_executions(namespace, id), -1) or '',
    hash.sq ~= '1' and call('GET', key_progress(namespace, id)) or '',
    time_of(namespace, id, hash) or ''}, hash
end
