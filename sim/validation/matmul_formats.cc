#include "sim/validation/matmul_formats.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace meshstep {
namespace {

// "bf16" of "bf16", "bf16 (fp32 accum)"; "fp8" of "f8e4m3fn", "fp8_e4m3". fp32 matmuls of tables
// run on the tf32 units, as XLA and PyTorch report them.
StatusOr<Dtype> FormatOf(const std::string& text) {
  struct Name {
    const char* prefix;
    Dtype dtype;
  };
  constexpr Name kNames[] = {{"bf16", Dtype::kBf16}, {"fp16", Dtype::kFp16}, {"f16", Dtype::kFp16},
                             {"fp32", Dtype::kTf32}, {"f32", Dtype::kTf32},  {"tf32", Dtype::kTf32},
                             {"fp8", Dtype::kFp8},   {"f8", Dtype::kFp8}};
  for (const Name& name : kNames) {
    if (text.starts_with(name.prefix)) return name.dtype;
  }
  return InvalidInput(absl::StrCat("the number format \"", text, "\" is not known"));
}

}  // namespace

StatusOr<MatmulFormats> MatmulFormatsOf(const CsvTable& table, std::size_t row) {
  const std::string& text = table.At(row, "dtype");
  const std::size_t arrow = text.find("->");
  ASSIGN_OR_RETURN(const Dtype operand, FormatOf(text));
  std::string out =
      arrow == std::string::npos ? table.At(row, "out_dtype") : text.substr(arrow + 2);
  if (out.empty()) return MatmulFormats{operand, std::max(SizeOf(operand), Bytes(2))};
  ASSIGN_OR_RETURN(const Dtype result, FormatOf(out));
  return MatmulFormats{operand, SizeOf(result)};
}

}  // namespace meshstep
