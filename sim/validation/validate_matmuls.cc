#include "sim/validation/validate_matmuls.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "meshstep/v1/chip.pb.h"
#include "sim/base/csv.h"
#include "sim/base/data_path.h"
#include "sim/cost/compute.h"
#include "sim/validation/matmul_formats.h"
#include "sim/validation/measured_chips.h"
#include "sim/validation/validate_report.h"
#include "topologies/load_chip.h"

namespace meshstep {
namespace {

using Models = std::map<std::string, std::unique_ptr<ComputeModel>>;

double Number(const CsvTable& table, std::size_t row, const std::string& column) {
  double value = 0;
  return absl::SimpleAtod(table.At(row, column), &value) && std::isfinite(value) ? value : 0;
}

StatusOr<const ComputeModel*> ModelOf(const std::string& device, const Catalog& catalog,
                                      Models* models) {
  const std::string name = ChipOfDevice(device);
  if (name.empty()) return InvalidInput(absl::StrCat("the chip \"", device, "\" is not described"));
  std::unique_ptr<ComputeModel>& model = (*models)[name];
  if (model != nullptr) return model.get();
  v1::Chip message;
  message.set_preset(name);
  Diagnostics diagnostics;
  catalog.Resolve("topologies/chips", "chip", &message, &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  const Chip chip = LoadChip(message, "chip", &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  model = std::make_unique<ComputeModel>(chip, RateSet::kDatasheet, Fidelity::kCalibrated);
  return model.get();
}

Status Predict(const CsvTable& table, std::size_t i, const Catalog& catalog, Models* models,
               v1::ValidateRow* row) {
  const std::string& op = table.At(i, "op");
  if (table.Has("op") && !op.starts_with("gemm")) {
    return InvalidInput(absl::StrCat("the op \"", op, "\" is not a single matmul"));
  }
  if (!table.At(i, "flag").empty()) {
    return InvalidInput(absl::StrCat("flagged ", table.At(i, "flag"), " in the table"));
  }
  ASSIGN_OR_RETURN(const ComputeModel* model, ModelOf(row->chip(), catalog, models));
  ASSIGN_OR_RETURN(const MatmulFormats formats, MatmulFormatsOf(table, i));
  RETURN_IF_ERROR(model->Supports(formats.operand));
  const MatmulShape shape{.batch = static_cast<double>(row->batch()),
                          .m = static_cast<double>(row->m()),
                          .n = static_cast<double>(row->n()),
                          .k = static_cast<double>(row->k())};
  if (row->m() < 1 || row->n() < 1 || row->k() < 1) return InvalidInput("m, n or k is not given");
  row->set_predicted_s(model->MatmulAlone(shape, formats.operand, formats.result).seconds());
  if (row->measured_s() > 0) row->set_error(row->predicted_s() / row->measured_s() - 1);
  return absl::OkStatus();
}

// Chip, number format and whether the matmul is large enough to matter (1 GFLOP).
std::string FamilyOf(const v1::ValidateRow& row) {
  const double flops = 2.0 * static_cast<double>(row.batch()) * static_cast<double>(row.m()) *
                       static_cast<double>(row.n()) * static_cast<double>(row.k());
  return absl::StrCat(row.chip(), " ", row.dtype(), flops >= 1e9 ? ", 1 GFLOP or more" : ", small");
}

}  // namespace

StatusOr<v1::ValidateReport> ValidateMatmuls(const std::string& path, const Catalog& catalog) {
  ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  ASSIGN_OR_RETURN(const CsvTable table, ParseCsv(path, content));
  const bool by_device = table.Has("device");
  for (const char* column :
       {by_device ? "time_us" : "time_ms", by_device ? "device" : "chip", "m", "n", "k", "dtype"}) {
    if (!table.Has(column)) {
      return InvalidInput(absl::StrCat(path, ":1: has no column \"", column, "\""));
    }
  }
  v1::ValidateReport report;
  Models models;
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    v1::ValidateRow* row = report.add_rows();
    row->set_id(table.Has("id") ? table.At(i, "id") : absl::StrCat("line ", table.lines[i]));
    row->set_chip(table.At(i, by_device ? "device" : "chip"));
    row->set_dtype(table.At(i, "dtype"));
    row->set_batch(std::max<std::int64_t>(1, static_cast<std::int64_t>(Number(table, i, "batch"))));
    row->set_m(static_cast<std::int64_t>(Number(table, i, "m")));
    row->set_n(static_cast<std::int64_t>(Number(table, i, "n")));
    row->set_k(static_cast<std::int64_t>(Number(table, i, "k")));
    row->set_measured_s(by_device ? Number(table, i, "time_us") * 1e-6
                                  : Number(table, i, "time_ms") * 1e-3);
    row->set_family(FamilyOf(*row));
    const Status status = Predict(table, i, catalog, &models, row);
    if (!status.ok()) row->set_reason(std::string(status.message()));
  }
  SummarizeFamilies(&report);
  return report;
}

}  // namespace meshstep
