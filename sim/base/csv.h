// Comma-separated values with a header line (RFC 4180): fields may be quoted, quotes doubled.

#ifndef MESHSTEP_SIM_BASE_CSV_H_
#define MESHSTEP_SIM_BASE_CSV_H_

#include <map>
#include <string>
#include <vector>

#include "sim/base/status.h"

namespace meshstep {

struct CsvTable {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  // each as long as `columns`
  std::vector<int> lines;                      // of each row, 1-based

  bool Has(const std::string& column) const;
  // "" if there is no such column.
  const std::string& At(std::size_t row, const std::string& column) const;
};

// Error: "name:line: ..." for a row of another length than the header, or a quote left open.
StatusOr<CsvTable> ParseCsv(const std::string& name, const std::string& content);

// Records as lines, quoted where they must be; the first is the header.
std::string WriteCsv(const std::vector<std::vector<std::string>>& records);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_CSV_H_
