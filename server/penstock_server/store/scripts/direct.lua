-- direct: gives a directive to a session, or forgets directives that it acknowledged, or reads them.
--   uses   base
--   input  {namespace, session, what, value}; what: give (value is {id, directive}) · forget (value is ids) · read
--   gives  {now, directives}
--   safe to repeat: yes
local namespace, session, what, value = input[1], input[2], input[3], input[4]
local key = key_directives(namespace, session)
if what == 'give' then
  call('HSET', key, value[1], cmsgpack.pack(value[2]))
  call('PEXPIRE', key, 7200000)
  call('PUBLISH', 'penstock:directives', namespace .. ':' .. session)
elseif what == 'forget' and #value > 0 then
  call('HDEL', key, unpack(value))
end
return cmsgpack.pack({now, call('HVALS', key)})
