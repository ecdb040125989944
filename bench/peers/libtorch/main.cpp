// The side of PyTorch's C++ library in the benchmarks: for each request, a line of JSON on stdin, one reply on stdout. It takes one step of one
// sequence; PyTorch's Python tells the rest.

#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

using Clock = std::chrono::steady_clock;

const int inputs = 28, singleSteps = 20000; // single steps are timed one by one

// seconds returns the mean time of many steps, after one to warm up, or with a quantile, that of steps that are timed one by one.
double seconds(const std::function<void()>& step, double quantile) {
  auto since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
  step();
  if (quantile > 0) {
    std::vector<double> times(singleSteps);
    for (auto& t : times) {
      auto start = Clock::now();
      step();
      t = since(start);
    }
    std::sort(times.begin(), times.end());
    return times[static_cast<size_t>(quantile * (singleSteps - 1))];
  }
  for (long n = 1;; n *= 2) {
    auto start = Clock::now();
    for (long i = 0; i < n; i++) step();
    if (double t = since(start); t >= 0.01) return t / n;
  }
}

// field returns what follows "name": in a request without nested values.
std::string field(const std::string& line, const std::string& name) {
  auto at = line.find("\"" + name + "\":");
  if (at == std::string::npos) return "";
  at += name.size() + 3;
  auto value = line.substr(at, line.find_first_of(",}", at) - at);
  value.erase(std::remove(value.begin(), value.end(), '"'), value.end());
  return value;
}

double step(const std::string& line) {
  torch::InferenceMode inference;
  int hidden = std::stoi(field(line, "hidden"));
  double quantile = std::atof(field(line, "quantile").c_str());
  auto x = torch::rand({1, inputs});
  auto cell = field(line, "cell");
  if (cell == "lstm") {
    torch::nn::LSTMCell layer(inputs, hidden);
    auto state = std::make_tuple(torch::zeros({1, hidden}), torch::zeros({1, hidden}));
    return seconds([&] { state = layer(x, state); }, quantile);
  }
  auto h = torch::zeros({1, hidden});
  if (cell == "gru") {
    torch::nn::GRUCell layer(inputs, hidden);
    return seconds([&] { h = layer(x, h); }, quantile);
  }
  torch::nn::RNNCell layer(inputs, hidden);
  return seconds([&] { h = layer(x, h); }, quantile);
}

int main() {
  torch::set_num_threads(1);
  for (std::string line; std::getline(std::cin, line);) {
    if (field(line, "do") == "version") {
      std::cout << "{\"version\": \"" << TORCH_VERSION << "\"}" << std::endl;
    } else {
      std::cout << "{\"seconds\": " << step(line) << "}" << std::endl;
    }
  }
}
