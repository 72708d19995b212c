-- record: a task as it is read: {packed record, spec or "", last execution or "", progress or "", end of lease or record or ""}

-- When the lease runs out, or when the full record of an ended task may go.
local function time_of(task)
  if task.s == 4 then return call('ZSCORE', key_leases(task.namespace, task.q), task.id) end
  return task.s >= 5 and call('ZSCORE', key_ended(), task.namespace .. ':' .. task.id)
end

-- {} if there is no such task. `full`: with the spec.
local function record_of(task, full)
  if not task then return {} end
  local namespace, id = task.namespace, task.id
  return {packed_task(task),
    full and call('GET', key_spec(namespace, id)) or '',
    task.x > 0 and call('LINDEX', key_executions(namespace, id), -1) or '',
    task.sq > 1 and call('GET', key_progress(namespace, id)) or '',
    time_of(task) or ''}
end
