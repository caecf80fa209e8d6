#include "sim/calibration/measured_matmuls.h"

#include <cmath>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/csv.h"
#include "sim/base/data_path.h"
#include "sim/validation/matmul_formats.h"
#include "sim/validation/measured_chips.h"

namespace meshstep {
namespace {

constexpr double kMostSize = 1e9, kMostSeconds = 1e4;

class Reader {
 public:
  Reader(const std::string& path, const CsvTable& table, const ComputeModel& model)
      : path_(path), table_(table), model_(model), by_device_(table.Has("device")) {}

  Status CheckColumns() const;
  // Adds the row to `out`, as a sample or as left out.
  Status Read(std::size_t row, MeasuredMatmuls* out) const;
  const std::string& DeviceOf(std::size_t row) const {
    return table_.At(row, by_device_ ? "device" : "chip");
  }

 private:
  StatusOr<double> Number(std::size_t row, const std::string& column, double least,
                          double most) const;

  const std::string path_;
  const CsvTable& table_;
  const ComputeModel& model_;
  const bool by_device_;
};

Status Reader::CheckColumns() const {
  for (const char* column : {by_device_ ? "time_us" : "time_ms", by_device_ ? "device" : "chip",
                             "m", "n", "k", "dtype"}) {
    if (!table_.Has(column)) {
      return InvalidInput(absl::StrCat(path_, ":1: has no column \"", column, "\""));
    }
  }
  return absl::OkStatus();
}

StatusOr<double> Reader::Number(std::size_t row, const std::string& column, double least,
                                double most) const {
  double value = 0;
  const std::string& text = table_.At(row, column);
  if (!absl::SimpleAtod(text, &value) || !(value >= least && value <= most)) {
    return InvalidInput(absl::StrCat(path_, ":", table_.lines[row], ": ", column, " is \"",
                                     absl::CHexEscape(text.substr(0, 64)),
                                     "\", expected a number of ", least, " to ", most));
  }
  return value;
}

Status Reader::Read(std::size_t row, MeasuredMatmuls* out) const {
  // As `meshstep validate --matmuls`: grouped matmuls, attention and copies have their own models.
  if (table_.Has("op") && !table_.At(row, "op").starts_with("gemm")) {
    ++out->left_out["not a single matmul"];
    return absl::OkStatus();
  }
  if (!table_.At(row, "flag").empty()) {
    ++out->left_out["flagged in the table"];
    return absl::OkStatus();
  }
  const char* time_column = by_device_ ? "time_us" : "time_ms";
  const double unit = by_device_ ? 1e-6 : 1e-3;
  if (table_.At(row, time_column).empty()) {
    ++out->left_out["without a time"];
    return absl::OkStatus();
  }
  const StatusOr<MatmulFormats> formats = MatmulFormatsOf(table_, row);
  if (!formats.ok()) {
    return InvalidInput(
        absl::StrCat(path_, ":", table_.lines[row], ": ", std::string(formats.status().message())));
  }
  if (!model_.Supports(formats->operand).ok()) {
    ++out->left_out[absl::StrCat("of ", std::string(NameOf(formats->operand)),
                                 ", which the chip has no rate for")];
    return absl::OkStatus();
  }
  MatmulSample sample;
  ASSIGN_OR_RETURN(sample.shape.m, Number(row, "m", 1, kMostSize));
  ASSIGN_OR_RETURN(sample.shape.n, Number(row, "n", 1, kMostSize));
  ASSIGN_OR_RETURN(sample.shape.k, Number(row, "k", 1, kMostSize));
  if (!table_.At(row, "batch").empty()) {
    ASSIGN_OR_RETURN(sample.shape.batch, Number(row, "batch", 1, kMostSize));
  }
  ASSIGN_OR_RETURN(const double time, Number(row, time_column, 1e-9 / unit, kMostSeconds / unit));
  sample.time = Seconds(time * unit);
  sample.device = model_.DeviceOf(formats->operand, formats->result);
  out->samples[formats->operand].push_back(sample);
  return absl::OkStatus();
}

}  // namespace

StatusOr<MeasuredMatmuls> ReadMeasuredMatmuls(const std::string& path, const std::string& chip,
                                              const std::string& device,
                                              const ComputeModel& model) {
  ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  ASSIGN_OR_RETURN(const CsvTable table, ParseCsv(path, content));
  const Reader reader(path, table, model);
  RETURN_IF_ERROR(reader.CheckColumns());
  MeasuredMatmuls out;
  std::set<std::string> others;
  bool any = false;
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const std::string& name = reader.DeviceOf(i);
    const bool own = device.empty() ? name == chip || ChipOfDevice(name) == chip : name == device;
    if (own) {
      any = true;
      RETURN_IF_ERROR(reader.Read(i, &out));
    } else {
      ++out.left_out["of another chip"];
      if (others.size() < 8) others.insert(absl::CHexEscape(name.substr(0, 64)));
    }
  }
  if (!any) {
    return InvalidInput(
        absl::StrCat(path, ": has no rows of ", device.empty() ? chip : device,
                     others.empty() ? "" : "; --device=NAME takes those of one of: ",
                     absl::StrJoin(others, ", ")));
  }
  if (out.samples.empty()) return InvalidInput(path + ": has no single matmuls of the chip");
  return out;
}

}  // namespace meshstep
