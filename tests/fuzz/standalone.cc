// Runs a fuzz target on files, without libFuzzer: every file of the folders named. This is how the
// corpora are tests in an ordinary build.
//
//   einsum_fuzz FOLDER_OR_FILE... [--mutations=N] [--seed=S]
//
// --mutations=N also runs N inputs made from those files, by the target's own mutator where it has
// one, else by changed bytes: a small stand-in for libFuzzer, which knows nothing of coverage.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" __attribute__((weak)) std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data,
                                                                     std::size_t size,
                                                                     std::size_t max_size,
                                                                     unsigned int seed);

namespace {

namespace fs = std::filesystem;
using Input = std::vector<std::uint8_t>;

constexpr std::size_t kMaxBytes = 1 << 16;

Input ReadInput(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::vector<Input> ReadAll(const std::vector<fs::path>& paths) {
  std::vector<fs::path> files;
  for (const fs::path& path : paths) {
    if (!fs::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<Input> inputs;
  for (const fs::path& file : files) inputs.push_back(ReadInput(file));
  return inputs;
}

void ChangeBytes(std::mt19937* random, Input* input) {
  const auto pick = [&](std::size_t n) { return static_cast<std::size_t>((*random)()) % n; };
  for (std::size_t changes = 1 + pick(4); changes > 0; --changes) {
    const std::size_t at = input->empty() ? 0 : pick(input->size());
    const auto place = input->begin() + static_cast<std::ptrdiff_t>(at);
    switch (input->empty() ? 1 : pick(4)) {
      case 0:
        *place = static_cast<std::uint8_t>(pick(256));
        break;
      case 1:
        input->insert(place, static_cast<std::uint8_t>(pick(256)));
        break;
      case 2:
        input->erase(place,
                     std::min(input->end(), place + static_cast<std::ptrdiff_t>(1 + pick(8))));
        break;
      default: {
        const Input piece(
            place, std::min(input->end(), place + static_cast<std::ptrdiff_t>(1 + pick(32))));
        input->insert(input->begin() + static_cast<std::ptrdiff_t>(pick(input->size() + 1)),
                      piece.begin(), piece.end());
      }
    }
  }
  if (input->size() > kMaxBytes) input->resize(kMaxBytes);
}

void Mutate(std::mt19937* random, Input* input) {
  if (LLVMFuzzerCustomMutator == nullptr) return ChangeBytes(random, input);
  const std::size_t size = input->size();
  input->resize(kMaxBytes);
  input->resize(LLVMFuzzerCustomMutator(input->data(), size, kMaxBytes,
                                        static_cast<unsigned int>((*random)())));
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<fs::path> paths;
  long mutations = 0, seed = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.starts_with("--mutations=")) {
      mutations = std::atol(argument.c_str() + 12);
    } else if (argument.starts_with("--seed=")) {
      seed = std::atol(argument.c_str() + 7);
    } else {
      paths.emplace_back(argument);
    }
  }
  const std::vector<Input> inputs = ReadAll(paths);
  if (inputs.empty()) {
    std::cerr << "no input in the files named\n";
    return 2;
  }
  for (const Input& input : inputs) LLVMFuzzerTestOneInput(input.data(), input.size());
  std::mt19937 random(static_cast<unsigned>(seed));
  for (long i = 0; i < mutations; ++i) {
    Input input = inputs[static_cast<std::size_t>(random()) % inputs.size()];
    for (unsigned rounds = 1 + random() % 4; rounds > 0; --rounds) Mutate(&random, &input);
    // What crashes is here to be copied.
    std::ofstream("last_input.tmp", std::ios::binary)
        .write(reinterpret_cast<const char*>(input.data()),
               static_cast<std::streamsize>(input.size()));
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::cout << inputs.size() << " inputs, " << mutations << " mutations\n";
  return 0;
}
