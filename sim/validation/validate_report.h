// Predicted against measured, summed up by family and written for people and for spreadsheets.

#ifndef MESHSTEP_SIM_VALIDATION_VALIDATE_REPORT_H_
#define MESHSTEP_SIM_VALIDATION_VALIDATE_REPORT_H_

#include <string>
#include <vector>

#include "meshstep/v1/validate_report.pb.h"

namespace meshstep {

// Fills in `families` from the rows that have an error.
void SummarizeFamilies(v1::ValidateReport* report);

// Fills in all that is summed up over rows: families, order, first errors.
void Summarize(v1::ValidateReport* report);

// The rows that moved at least `min_bytes`, and their families.
v1::ValidateReport RowsOfAtLeast(const v1::ValidateReport& report, double min_bytes);

// Tables as rows of cells, the header first.
using CellTable = std::vector<std::vector<std::string>>;
CellTable FamilyTable(const v1::ValidateReport& report);
CellTable RowTable(const v1::ValidateReport& report);

// The table of families, then why rows are not predicted. `rows`: every row before it.
std::string ValidateToText(const v1::ValidateReport& report, bool rows);
// The same as tables of Markdown.
std::string ValidateToMarkdown(const v1::ValidateReport& report, bool rows);
// One line per row, with a header.
std::string ValidateToCsv(const v1::ValidateReport& report);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_VALIDATE_REPORT_H_
