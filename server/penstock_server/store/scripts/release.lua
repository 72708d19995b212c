-- release: gives leases back without an outcome.
--   uses   base task events notes waiting policy ending leases
--   input  {namespaces, ids, fences, random bits, reasons, reports}, a value in each for every task
--   gives  {word} for each task: ok · lease_lost
--   safe to repeat: yes, a second release under the same token answers ok again
local namespaces, ids, fences, randoms, reasons, reports = unpack(input)
local words = {}
for index, task in ipairs(read_tasks(namespaces, ids)) do
  local word = proof(task, fences[index], randoms[index])
  if word == 'ok' then
    drop_lease(task)
    give_back(task, reasons[index], reports[index])
  elseif word == 'ended' then
    word = told_again(task, 7)
  end
  words[index] = word
end
write_all()
return cmsgpack.pack(words)
