// CSV tables.

#include "fuzz.h"
#include "sim/base/csv.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace meshstep;
  const StatusOr<CsvTable> table = ParseCsv("f.csv", fuzz::TextOf(data, size));
  fuzz::CheckStatus(table.status());
  if (!table.ok()) return 0;
  for (std::size_t row = 0; row < table->rows.size(); ++row) {
    CHECK_EQ(table->rows[row].size(), table->columns.size());
    for (const std::string& column : table->columns) table->At(row, column);
  }
  return 0;
}
