#include "strategies/plan/load_kernel_table.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "meshstep/v1/framework.pb.h"
#include "sim/base/data_path.h"
#include "sim/base/proto_file.h"
#include "strategies/plan/load_framework.h"
#include "strategies/plan/load_framework_conditions.h"
#include "strategies/plan/load_plan.h"

namespace meshstep {
namespace {

constexpr char kIdeal[] = "ideal";
constexpr char kFolder[] = "strategies/frameworks";

struct NamedArray {
  const char* name;
  KernelOperand::Array array;
  std::size_t index;
};
using Operand = KernelOperand::Array;
constexpr NamedArray kArrays[] = {
    {"x", Operand::kInput, 0},          {"x2", Operand::kInput, 1},
    {"x3", Operand::kInput, 2},         {"y", Operand::kResult, 0},
    {"y2", Operand::kResult, 1},        {"y3", Operand::kResult, 2},
    {"ys", Operand::kResults, 0},       {"y_used", Operand::kResultUsed, 0},
    {"x_used", Operand::kInputUsed, 0}, {"w", Operand::kWeight, 0},
    {"rows", Operand::kRows, 0},        {"bias", Operand::kBias, 0}};

struct NamedType {
  const char* name;
  KernelOperand::Type type;
};
using Type = KernelOperand::Type;
constexpr NamedType kTypes[] = {{"activations", Type::kActivations},
                                {"gradients", Type::kGradients},
                                {"reduce", Type::kReduce},
                                {"fp32", Type::kFp32},
                                {"bf16", Type::kBf16},
                                {"byte", Type::kByte}};

template <std::size_t n, class Named>
StatusOr<const Named*> Find(const Named (&list)[n], std::string_view name, std::string_view field,
                            const char* what) {
  std::vector<std::string> names;
  for (const Named& one : list) {
    if (name == one.name) return &one;
    names.emplace_back(one.name);
  }
  return InvalidInput(absl::StrCat(std::string(field), ": has ", what, " \"",
                                   std::string(name.substr(0, 64)), "\", expected one of ",
                                   absl::StrJoin(names, ", ")));
}

constexpr double kMost = 1e6, kMostNanoseconds = 1e9;

// A problem of one field of a row.
Status Wrong(std::string_view field, const std::string& problem) {
  return InvalidInput(absl::StrCat(std::string(field), ": ", problem));
}

Status CheckCount(std::string_view field, double value, bool may_be_zero) {
  if (value <= kMost && (may_be_zero ? value >= 0 : value > 0)) return absl::OkStatus();
  return Wrong(field, absl::StrCat("is ", value, ", expected ",
                                   may_be_zero ? "0 to 1e6" : "above 0, at most 1e6"));
}

// NAME[:TYPE][*FACTOR]
StatusOr<KernelOperand> ParseOperand(std::string_view field, const std::string& text) {
  KernelOperand operand;
  const std::vector<std::string> product = absl::StrSplit(text, absl::MaxSplits('*', 1));
  if (product.size() == 2) {
    if (!absl::SimpleAtod(product[1], &operand.factor)) {
      return Wrong(
          field, absl::StrCat("has factor \"", product[1].substr(0, 64), "\", expected a number"));
    }
    RETURN_IF_ERROR(CheckCount(absl::StrCat(std::string(field), " factor"), operand.factor, false));
  }
  const std::vector<std::string> parts = absl::StrSplit(product[0], absl::MaxSplits(':', 1));
  ASSIGN_OR_RETURN(const NamedArray* array, Find(kArrays, parts[0], field, "operand"));
  operand.array = array->array;
  operand.index = array->index;
  if (parts.size() == 2) {
    ASSIGN_OR_RETURN(const NamedType* type, Find(kTypes, parts[1], field, "type"));
    operand.type = type->type;
  }
  return operand;
}

StatusOr<std::vector<KernelOperand>> ParseOperands(std::string_view field,
                                                   const std::string& text) {
  std::vector<KernelOperand> operands;
  for (const auto one : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    ASSIGN_OR_RETURN(const KernelOperand operand, ParseOperand(field, std::string(one)));
    operands.push_back(operand);
  }
  return operands;
}

bool IsResult(const KernelOperand& operand) {
  return operand.array == Operand::kResult || operand.array == Operand::kResultUsed ||
         operand.array == Operand::kResults;
}

bool IsParameter(const KernelOperand& operand) {
  return operand.array == Operand::kWeight || operand.array == Operand::kBias;
}

StatusOr<RowKernel> LoadKernel(const std::string& field, const v1::OpKernel& proto) {
  RowKernel kernel;
  ASSIGN_OR_RETURN(kernel.operands, ParseOperands(field + ".reads", proto.reads()));
  ASSIGN_OR_RETURN(const std::vector<KernelOperand> written,
                   ParseOperands(field + ".writes", proto.writes()));
  if (kernel.operands.empty() && written.empty()) {
    return Wrong(field, "reads and writes nothing, expected an operand");
  }
  kernel.writes_weights =
      !written.empty() && std::all_of(written.begin(), written.end(), IsParameter);
  kernel.writes_results = std::any_of(written.begin(), written.end(), IsResult);
  kernel.operands.insert(kernel.operands.end(), written.begin(), written.end());
  if (proto.has_times()) {
    RETURN_IF_ERROR(CheckCount(field + ".times", proto.times(), false));
    kernel.times = proto.times();
  }
  kernel.each_expert = proto.each_expert();
  kernel.cast = proto.cast();
  kernel.strided = proto.strided();
  if (!(proto.fixed_ns() >= 0 && proto.fixed_ns() <= kMostNanoseconds)) {
    return Wrong(field + ".fixed_ns", absl::StrCat("is ", proto.fixed_ns(), ", expected 0 to 1e9"));
  }
  kernel.fixed = Seconds(proto.fixed_ns() * 1e-9);
  return kernel;
}

Status LoadRoles(const v1::OpRow& proto, KernelRow* row) {
  if (proto.role().empty()) return Wrong("role", "is not given, expected one role or more");
  for (int i = 0; i < proto.role_size(); ++i) {
    const std::vector<OpRole> roles = OpRolesNamed(proto.role(i));
    if (roles.empty()) {
      return Wrong(absl::StrCat("role[", i, "]"),
                   absl::StrCat("is \"", proto.role(i).substr(0, 64), "\", expected one of ",
                                absl::StrJoin(OpRoleNames(), ", ")));
    }
    row->roles.insert(row->roles.end(), roles.begin(), roles.end());
  }
  return absl::OkStatus();
}

Status LoadLabel(const v1::OpRow& proto, KernelRow* row) {
  const std::string& label = proto.label();
  const bool word = std::all_of(label.begin(), label.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
  });
  if (label.empty() || label.size() > 64 || !word) {
    return Wrong("label",
                 absl::StrCat("is \"", label.substr(0, 64),
                              "\", expected up to 64 lower-case letters, digits and hyphens"));
  }
  row->label = label;
  return absl::OkStatus();
}

LayerConditions LoadLayerConditions(const v1::When& when) {
  LayerConditions layer;
  if (when.has_grouped_queries()) layer.grouped_queries = when.grouped_queries();
  if (when.has_plain_heads()) layer.plain_heads = when.plain_heads();
  if (when.has_mlp_bias()) layer.mlp_bias = when.mlp_bias();
  if (when.has_several_experts()) layer.several_experts = when.several_experts();
  if (when.has_fused_softmax()) layer.fused_softmax = when.fused_softmax();
  return layer;
}

}  // namespace

StatusOr<KernelRow> LoadKernelRow(const v1::OpRow& proto) {
  KernelRow row;
  RETURN_IF_ERROR(LoadRoles(proto, &row));
  RETURN_IF_ERROR(LoadLabel(proto, &row));
  row.forward = proto.direction() != v1::OpRow::BACKWARD;
  row.backward = proto.direction() != v1::OpRow::FORWARD;
  row.place = static_cast<KernelRow::Place>(proto.place());
  row.per = static_cast<KernelRow::Unit>(proto.per());
  for (int i = 0; i < proto.kernel_size(); ++i) {
    ASSIGN_OR_RETURN(RowKernel kernel,
                     LoadKernel(absl::StrCat("kernel[", i, "]"), proto.kernel(i)));
    row.kernels.push_back(std::move(kernel));
  }
  RETURN_IF_ERROR(CheckCount("host_ops", proto.host_ops(), true));
  RETURN_IF_ERROR(CheckCount("counted_host_ops", proto.counted_host_ops(), true));
  if (proto.has_host_ops()) row.host_ops = proto.host_ops() - proto.counted_host_ops();
  row.host_waits = proto.host_waits();
  ASSIGN_OR_RETURN(row.holds, ParseOperands("holds", proto.holds()));
  row.layer = LoadLayerConditions(proto.when());
  row.name = proto.name();
  return row;
}

namespace {

struct FrameworkFiles {
  std::vector<std::string> names;
  std::vector<v1::Framework> files;
};

// `ideal`, then what `framework` builds on, then its own.
StatusOr<FrameworkFiles> FilesOf(const std::string& framework, const Catalog& catalog) {
  FrameworkFiles all;
  std::string name = FrameworkName(framework);
  if (name.empty()) name = kIdeal;
  ASSIGN_OR_RETURN(all.files, ReadFramework(name, catalog));
  for (std::size_t i = 1; i < all.files.size(); ++i) all.names.push_back(all.files[i].base());
  all.names.push_back(name);
  if (all.names.front() == kIdeal) return all;
  ASSIGN_OR_RETURN(const std::vector<v1::Framework> ideal, ReadFramework(kIdeal, catalog));
  all.names.insert(all.names.begin(), kIdeal);
  all.files.insert(all.files.begin(), ideal.front());
  return all;
}

// The place of a field of a row in the file of a framework, "file:line:column", and the field.
std::string PlaceOf(const std::string& name, int row, const std::string& problem) {
  const std::string field = absl::StrCat("op[", row, "]");
  const StatusOr<std::string> path = PresetPath(kFolder, name);
  if (!path.ok()) return field;
  v1::Framework file;
  FieldPlaces places;
  if (!ReadDataFile(*path, &file, &places).ok()) return absl::StrCat(*path, ": ", field);
  const std::string inner = problem.substr(0, problem.find_first_of(": "));
  for (const std::string& given : {absl::StrCat(field, ".", inner), field}) {
    if (const auto at = places.find(given); at != places.end()) {
      return absl::StrCat(at->second, ": ", field);
    }
  }
  return absl::StrCat(*path, ": ", field);
}

// The rows of a framework's files, whichever plan they hold for.
struct FrameworkRows {
  std::vector<v1::Framework> files;
  std::vector<std::vector<KernelRow>> rows;  // by file
};

// Null where a row cannot be read.
std::shared_ptr<const FrameworkRows> ReadRows(const std::string& framework, const Catalog& catalog,
                                              Diagnostics* diagnostics) {
  StatusOr<FrameworkFiles> all = FilesOf(framework, catalog);
  if (!all.ok()) {
    diagnostics->Error("plan.framework", all.status());
    return nullptr;
  }
  auto read = std::make_shared<FrameworkRows>();
  bool whole = true;
  for (std::size_t f = 0; f < all->files.size(); ++f) {
    std::vector<KernelRow>& rows = read->rows.emplace_back();
    for (int i = 0; i < all->files[f].op_size(); ++i) {
      StatusOr<KernelRow> row = LoadKernelRow(all->files[f].op(i));
      if (row.ok()) {
        rows.push_back(*std::move(row));
        continue;
      }
      whole = false;
      const std::string problem(row.status().message());
      diagnostics->Error("plan.framework",
                         absl::StrCat(PlaceOf(all->names[f], i, problem), ".", problem));
    }
  }
  read->files = std::move(all->files);
  return whole ? read : nullptr;
}

}  // namespace

KernelTable LoadKernelTable(const v1::Plan& merged, const Plan& plan, const Model& model,
                            const Cluster& cluster, const Catalog& catalog,
                            Diagnostics* diagnostics) {
  const std::string key = absl::StrCat("kernel rows of ", FrameworkName(plan.framework));
  std::shared_ptr<const FrameworkRows> all = catalog.Kept<FrameworkRows>(key);
  if (all == nullptr) {
    all = ReadRows(plan.framework, catalog, diagnostics);
    if (all == nullptr) return {};
    catalog.Keep(key, all);
  }
  v1::Plan own = merged, decided;
  own.set_virtual_stages(plan.virtual_stages);
  ExpandPlan(plan, &decided);
  const FrameworkConditions conditions(model, cluster, ReleaseOf(plan.framework, all->files));
  KernelTable table;
  for (std::size_t f = 0; f < all->files.size(); ++f) {
    for (std::size_t i = 0; i < all->rows[f].size(); ++i) {
      const v1::When& when = all->files[f].op(static_cast<int>(i)).when();
      if (conditions.HoldForRow(when, own, decided, plan)) table.push_back(all->rows[f][i]);
    }
  }
  return table;
}

}  // namespace meshstep
