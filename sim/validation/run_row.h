// One row of a table of measured training steps, with what the row does not state filled in from
// the one table of framework defaults (tests/validation/framework_defaults.csv).
//
// A default holds for a family of rows: the entry whose `families` is the longest prefix of the
// row's family. Its columns are those of the table of runs, plus what no table of runs has
// (attention kernel, number formats of gradients, ...). Nothing is looked up by a row's id.

#ifndef MESHSTEP_SIM_VALIDATION_RUN_ROW_H_
#define MESHSTEP_SIM_VALIDATION_RUN_ROW_H_

#include <string>

#include "sim/base/csv.h"
#include "sim/base/status.h"

namespace meshstep {

// A data table that ships with the program: tests/validation/NAME.
StatusOr<CsvTable> ReadValidationTable(const std::string& name);

// The number after the first match of `pattern`'s group in `text`; 0 if there is none.
int NumberIn(const std::string& text, const char* pattern);

class RunRow {
 public:
  RunRow(const CsvTable& runs, std::size_t row, const CsvTable& defaults);

  const std::string& family() const { return family_; }
  // What the row states, else its framework's default, else "".
  const std::string& Get(const std::string& column) const;
  // Get(column), of which "5B: a; 175B: b" is what a family does for each of its models.
  std::string ForModel(const std::string& column) const;
  // What the row states; "" if it says that it does not ("not stated", "see recipe").
  const std::string& Stated(const std::string& column) const;
  // The framework's default; "" if it has none.
  const std::string& Default(const std::string& column) const;
  // Of Get(): a number above 0, else `unset`.
  double Number(const std::string& column, double unset = 0) const;
  // The same for whole numbers up to 2^30.
  int Count(const std::string& column, int unset = 0) const;
  // InvalidArgument names every column of numbers that holds something else: whole numbers of 0 or
  // more for sizes and degrees, finite ones for what was measured. Empty, or said to be not stated,
  // is fine.
  Status CheckNumbers() const;
  bool Flag(const std::string& column) const { return Get(column) == "1"; }
  // Get(column) holds `words`, whatever the case.
  bool Says(const std::string& column, const std::string& words) const;

 private:
  const CsvTable& runs_;
  const std::size_t row_;
  const CsvTable& defaults_;
  std::string family_;
  std::ptrdiff_t default_row_ = -1;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_RUN_ROW_H_
