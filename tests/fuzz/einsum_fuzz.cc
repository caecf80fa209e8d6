// Products of sharded arrays: the mesh on the first line, the expression on the others. What is
// read is solved, without sizes.

#include "fuzz.h"
#include "strategies/einsum/notation/mesh_shape.h"
#include "strategies/einsum/notation/parser.h"
#include "strategies/einsum/solver.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace meshstep;
  const std::string text = fuzz::TextOf(data, size);
  const std::size_t end = text.find('\n');
  if (end == std::string::npos || size > 4096) return 0;
  const StatusOr<einsum::MeshShape> mesh = einsum::ParseMeshShape(text.substr(0, end));
  fuzz::CheckStatus(mesh.status());
  if (!mesh.ok()) return 0;
  const auto expression = einsum::ParseExpression(text.substr(end + 1), *mesh);
  fuzz::CheckStatus(expression.status());
  if (!expression.ok()) return 0;
  const StatusOr<einsum::Answer> answer = einsum::Solve(*expression, {});
  fuzz::CheckStatus(answer.status());
  if (answer.ok()) {
    CHECK(!answer->derivations.empty());
  }
  return 0;
}
