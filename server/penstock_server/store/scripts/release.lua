-- release: gives leases back without an outcome.
--   uses   base task events notes waiting policy ending leases
--   input  {items}, an item is {namespace, id, fence, random bits, reason, report}
--   gives  {word} for each item: ok · lease_lost
--   safe to repeat: yes, a second release under the same token answers ok again
local words, found = {}, read_tasks(input)
for index, item in ipairs(input) do
  local task = found[index]
  local word = proof(task, item[3], item[4])
  if word == 'ok' then
    drop_lease(task)
    give_back(task, item[5], item[6])
  elseif word == 'ended' then
    word = told_again(task, 7)
  end
  words[index] = word
end
write_all()
return cmsgpack.pack(words)
