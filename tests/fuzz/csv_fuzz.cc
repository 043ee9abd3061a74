#include <cstdint>
#include <string>

#include "common/base/check.h"
#include "common/expr/csv.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto table = picket::ReadCsv(text);
  if (!table.ok()) return 0;
  for (const auto& row : table->rows) PICKET_CHECK(row.size() == table->header.size());
  return 0;
}
