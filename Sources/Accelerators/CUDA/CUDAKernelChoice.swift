import Engine

/// Which instances of kernels compute a convolution, forward or back, of given sizes: what was measured to be the fastest on this device
/// (`CUDAMeasuredKernels`), or what a rule says where nothing was.
///
/// Of the forward pass all instances sum in the same order, so an image's logits do not depend on which one it is, and so not on the batch around it.
/// Of the way back the parts of sums may be others, which moves a gradient by rounding.
struct CUDAKernelChoice: Sendable {
  /// Of a convolution, what kernels are chosen for.
  struct Question: Hashable, Sendable {
    enum Operation: String, CaseIterable, Sendable {
      /// Of the forward pass.
      case pointwise, growth
      /// Of the way back: both gradients of a dense layer's convolutions, and of a transition's.
      case pointwiseGradients = "pointwise gradients"
      case growthGradients = "growth gradients"
      case transitionGradients = "transition gradients"
    }
    let operation: Operation
    let inputLanes: Int
    let outputLanes: Int
    /// Of a 3×3 convolution's map; 0 of a 1×1.
    let width: Int
    let pixels: Int
    /// Of the forward pass: whether what goes in passes a batch norm and a ReLU in the kernel.
    let normalises: Bool
  }

  enum Preference: Sendable {
    case measured(CUDAMeasuredKernels)
    /// Of each question's candidates this one, or the last: to measure them one after the other.
    case candidate(Int)
  }

  /// Candidates that a question has at the most.
  static let most = 5

  /// By name, those of the device.
  let kernels: [String: CUDAKernel]
  let multiprocessors: Int
  let preference: Preference

  init(kernels: [String: CUDAKernel], multiprocessors: Int, preference: Preference) {
    (self.kernels, self.multiprocessors, self.preference) = (kernels, multiprocessors, preference)
  }

  init(_ other: CUDAKernelChoice, preference: Preference) {
    self.init(kernels: other.kernels, multiprocessors: other.multiprocessors, preference: preference)
  }

  /// The kernel of that name, which the device has.
  func kernel(_ name: String) -> CUDAKernel {
    guard let kernel = kernels[name] else { preconditionFailure("there is no kernel \(name)") }
    return kernel
  }

  /// Of `candidates`, each of them some kernels that together do it, `rule` being which one is taken where nothing was measured.
  private func choose(_ question: Question, _ candidates: [[CUDAKernel]], rule: Int) -> [CUDAKernel] {
    precondition(candidates.count <= Self.most)
    switch preference {
    case .candidate(let number): return candidates[min(number, candidates.count - 1)]
    case .measured(let measured):
      guard let names = measured.fastest(question) else { return candidates[rule] }
      return candidates.first { $0.map(\.name) == names } ?? candidates[rule]
    }
  }

  /// The largest tile that leaves no multiprocessor without one; else the smallest.
  private func largest(_ kernels: [CUDAKernel], pixels: Int, columns: Int) -> Int {
    kernels.firstIndex { ($0.tiles(pixels)) * columns >= multiprocessors } ?? kernels.count - 1
  }

  /// What it answers to a question, whichever it is.
  func kernels(for question: Question, _ precision: Precision) -> [CUDAKernel] {
    func list(_ gradients: Gradients) -> [CUDAKernel] { [gradients.weights] + (gradients.data.map { [$0] } ?? []) }
    switch question.operation {
    case .pointwise: return [pointwise(question, precision)]
    case .growth: return [growth(question, precision)]
    case .pointwiseGradients, .transitionGradients: return list(pointwiseGradients(question, precision))
    case .growthGradients: return list(growthGradients(question, precision))
    }
  }

  private func named(_ names: [String]) -> [CUDAKernel] { names.compactMap { kernels[$0] } }

  /// Pixels of a tile and the longest row between two runs of its halo that there is shared memory for, of those that fit.
  private static func fitting(_ width: Int, _ shapes: [(tile: Int, pitch: Int)]) -> [String] {
    shapes.filter { min(width, $0.tile + 2) <= $0.pitch }.map { "\($0.tile)x\($0.pitch)" }
  }

  // MARK: Forward

  func pointwise(_ question: Question, _ precision: Precision) -> CUDAKernel {
    let suffix = question.normalises ? "_normalised_\(precision.rawValue)" : "_\(precision.rawValue)"
    guard precision == .bf16 else { return kernel("pointwise" + suffix) }
    return tile(
      named([128, 64, 32].map { "pointwise_\($0)" + suffix }), question, columns: (question.outputLanes + 127) / 128)
  }

  func growth(_ question: Question, _ precision: Precision) -> CUDAKernel {
    let suffix = question.normalises ? "_normalised_\(precision.rawValue)" : "_\(precision.rawValue)"
    guard precision == .bf16 else { return kernel("growth" + suffix) }
    let fitting = Self.fitting(question.width, [(256, 56), (128, 28), (128, 130), (64, 66)])
    return tile(named(fitting.map { "growth_\($0)" + suffix }), question, columns: question.outputLanes / 32)
  }

  private func tile(_ kernels: [CUDAKernel], _ question: Question, columns: Int) -> CUDAKernel {
    choose(question, kernels.map { [$0] }, rule: largest(kernels, pixels: question.pixels, columns: columns))[0]
  }

  // MARK: Back

  /// What computes a convolution's gradients.
  struct Gradients {
    /// Of the weights, and, where `data` is nil, also of what goes in, from a gradient that is not resolved.
    let weights: CUDAKernel
    let data: CUDAKernel?
    /// Of the grid of `weights`: parts × columns.
    let parts: Int
    let columns: (y: Int, z: Int)

    var grid: (Int, Int, Int) { (parts, columns.y, columns.z) }
  }

  /// Pixels that a part of a weight gradient has at the most: its sums are fp32. A sum of bf16 products in steps of 16 errs by 2⁻²⁴ a step, by 6·10⁻⁵ of
  /// itself at the worst, where its factors have 4·10⁻³; an exact one is made of sums of 256.
  private static let mostPixels = 16384

  /// Into how many parts a weight gradient is cut: as many as make blocks for all multiprocessors at once, and none that would have to wait for another
  /// to end.
  private func parts(_ kernel: CUDAKernel, pixels: Int, columns: (y: Int, z: Int)) -> Int {
    let needed = (pixels + Self.mostPixels - 1) / Self.mostPixels
    let room = kernel.residentBlocks * multiprocessors / (columns.y * columns.z)
    return max(needed, min((pixels + 63) / 64, room), 1)
  }

  /// `whole`: kernels that do all of it, the first of which is the rule's, and the channels that a block of theirs has. Otherwise each of `data` with `weights`.
  private func gradients(
    _ question: Question, whole: [CUDAKernel], channels: Int, weights: CUDAKernel, columns: (y: Int, z: Int),
    data: [CUDAKernel]
  ) -> Gradients {
    let rule = whole.isEmpty ? largest(data, pixels: question.pixels, columns: (question.inputLanes + 127) / 128) : 0
    let chosen = choose(question, whole.map { [$0] } + data.map { [weights, $0] }, rule: rule)
    let columns = chosen.count == 1 ? ((question.inputLanes + channels - 1) / channels, 1) : columns
    return Gradients(
      weights: chosen[0], data: chosen.count == 1 ? nil : chosen[1],
      parts: parts(chosen[0], pixels: question.pixels, columns: columns), columns: columns)
  }

  /// Of a 1×1 convolution.
  func pointwiseGradients(_ question: Question, _ precision: Precision) -> Gradients {
    let isWhole = precision == .bf16 && question.operation == .pointwiseGradients && question.outputLanes <= 128
    return gradients(
      question, whole: isWhole ? named(["64", "32", "64_90a"].map { "pointwise_gradients_\($0)_bf16" }) : [],
      channels: 128,
      weights: kernel("pointwise_weight_gradient_\(precision.rawValue)"),
      columns: ((question.inputLanes + 63) / 64, (question.outputLanes + 127) / 128),
      data: named(
        precision == .bf16
          ? ["128", "32"].map { "pointwise_data_gradient_\($0)_bf16" } : ["pointwise_data_gradient_fp32"]))
  }

  func growthGradients(_ question: Question, _ precision: Precision) -> Gradients {
    let isWhole = precision == .bf16 && question.outputLanes == 32
    let whole = [(tile: 96, widest: 128), (48, 256)].filter { question.width <= $0.widest }
    let data = Self.fitting(question.width, [(128, 56), (128, 130), (64, 66)])
    return gradients(
      question, whole: isWhole ? named(whole.map { "growth_gradients_\($0.tile)x\($0.widest)_bf16" }) : [],
      channels: 64,
      weights: kernel("growth_weight_gradient_\(precision.rawValue)"),
      columns: (question.inputLanes / 32, question.outputLanes / 32),
      data: named(
        precision == .bf16 ? data.map { "growth_data_gradient_\($0)_bf16" } : ["growth_data_gradient_fp32"]))
  }

  /// Of the stem's weights, for there is one way: nothing was asked.
  func stemGradient(_ convolution: CUDANetwork.Convolution, pixels: Int, _ precision: Precision) -> Gradients {
    let kernel = kernel("stem_weight_gradient_\(precision.rawValue)")
    let columns = (convolution.inputLanes / 64, (convolution.outputLanes + 63) / 64)
    return Gradients(
      weights: kernel, data: nil, parts: parts(kernel, pixels: pixels, columns: columns), columns: columns)
  }
}

extension CUDAKernelChoice.Question {
  init(
    _ operation: Operation, _ convolution: CUDANetwork.Convolution, width: Int = 0, pixels: Int,
    normalises: Bool = false
  ) {
    self.init(
      operation: operation, inputLanes: convolution.inputLanes, outputLanes: convolution.outputLanes, width: width,
      pixels: pixels, normalises: normalises)
  }
}
