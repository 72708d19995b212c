-- set_task_type: makes, changes or removes the record of a task type.
--   uses   base
--   input  {namespace, type, what, config, version or -1}; what: create · update · delete
--   gives  {word, record}; words: ok · exists · not_found · changed · too_many
--          a record is {config, created, changed, version}; none after delete
--   safe to repeat: create and delete no, update yes without a version
local namespace, type, what, config, version = input[1], input[2], input[3], input[4], input[5]
local key = key_task_types(namespace)
local stored = call('HGET', key, type)
if what == 'create' then
  if stored then return cmsgpack.pack({'exists'}) end
  if call('HLEN', key) >= LIMITS.task_types_per_namespace then return cmsgpack.pack({'too_many'}) end
elseif not stored then
  return cmsgpack.pack({'not_found'})
end
if what == 'delete' then
  call('HDEL', key, type)
  return cmsgpack.pack({'ok'})
end
local old = stored and cmsgpack.unpack(stored) or {'', now, now, 0}
if version >= 0 and old[4] ~= version then return cmsgpack.pack({'changed'}) end
local record = {config, old[2], now, old[4] + 1}
call('HSET', key, type, cmsgpack.pack(record))
return cmsgpack.pack({'ok', record})
