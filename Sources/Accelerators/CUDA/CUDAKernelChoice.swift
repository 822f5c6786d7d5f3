import CCUDAKernels
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

  /// Some kernels that together do it.
  struct Candidate: Sendable {
    var kernels: [CUDAKernel]
    /// A weight gradient is cut into one in so many of the parts that there is room for: fewer are less to add up, and more multiprocessors without one.
    var share = 1

    var name: Name { Name(kernels: kernels.map(\.name), share: share) }

    struct Name: Hashable, Sendable {
      let kernels: [String]
      let share: Int
    }
  }

  /// Candidates that a question has at the most, of which the first ones are other kernels, and those behind them the same with fewer parts.
  static let most = 17
  static let mostKernels = 7

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

  /// For the record: where what it answers comes from.
  var origin: String {
    switch preference {
    case .candidate(let number): "candidates \(number)"
    case .measured(let measured): measured.answers.isEmpty ? "by rule" : "chosen by doctor, \(measured.date)"
    }
  }

  /// The kernel of that name, which the device has.
  func kernel(_ name: String) -> CUDAKernel {
    guard let kernel = kernels[name] else { preconditionFailure("there is no kernel \(name)") }
    return kernel
  }

  /// Of `candidates`, `rule` being which one is taken where nothing was measured.
  private func choose(_ question: Question, _ candidates: [Candidate], rule: Int) -> Candidate {
    precondition(candidates.count <= Self.most)
    switch preference {
    case .candidate(let number): return candidates[min(number, candidates.count - 1)]
    case .measured(let measured):
      let fastest = measured.fastest(question)
      return candidates.first { $0.name == fastest } ?? candidates[rule]
    }
  }

  /// The largest tile that leaves no multiprocessor without one; else the smallest.
  private func largest(_ kernels: [CUDAKernel], pixels: Int, columns: Int) -> Int {
    kernels.firstIndex { ($0.tiles(pixels)) * columns >= multiprocessors } ?? kernels.count - 1
  }

  /// What it answers to a question, whichever it is.
  func answer(_ question: Question, _ precision: Precision) -> Candidate.Name {
    switch question.operation {
    case .pointwise: Candidate(kernels: [pointwise(question, precision)]).name
    case .growth: Candidate(kernels: [growth(question, precision)]).name
    case .pointwiseGradients, .transitionGradients: pointwiseGradients(question, precision).candidate.name
    case .growthGradients: growthGradients(question, precision).candidate.name
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
    let hasRoom = question.inputLanes <= POINTWISE_BULK_CHANNELS
    let bulk = question.normalises && hasRoom ? [256, 128].map { "\($0)_bulk_90a" } : []
    return tile(
      named([128, 64, 32].map { "pointwise_\($0)" + suffix }), others: named(bulk.map { "pointwise_\($0)" + suffix }),
      question, columns: (question.outputLanes + 127) / 128)
  }

  func growth(_ question: Question, _ precision: Precision) -> CUDAKernel {
    let suffix = question.normalises ? "_normalised_\(precision.rawValue)" : "_\(precision.rawValue)"
    guard precision == .bf16 else { return kernel("growth" + suffix) }
    let fitting = Self.fitting(question.width, [(256, 56), (128, 28), (128, 130), (64, 66)])
    let hopper = Self.fitting(question.width, [(256, 56)]).flatMap { [$0 + "_90a", $0 + "_bulk_90a"] }
    return tile(
      named(fitting.map { "growth_\($0)" + suffix }), others: named(hopper.map { "growth_\($0)" + suffix }), question,
      columns: question.outputLanes / 32)
  }

  /// `others`: kernels that the rule does not take.
  private func tile(
    _ kernels: [CUDAKernel], others: [CUDAKernel] = [], _ question: Question, columns: Int
  ) -> CUDAKernel {
    choose(
      question, (kernels + others).map { Candidate(kernels: [$0]) },
      rule: largest(kernels, pixels: question.pixels, columns: columns)
    ).kernels[0]
  }

  // MARK: Back

  /// What computes a convolution's gradients.
  struct Gradients {
    let candidate: Candidate
    /// Of the weights, and, where `data` is nil, also of what goes in, from a gradient that is not resolved.
    var weights: CUDAKernel { candidate.kernels[0] }
    var data: CUDAKernel? { candidate.kernels.dropFirst().first }
    /// Of the grid of `weights`: parts × columns.
    let parts: Int
    let columns: (y: Int, z: Int)

    var grid: (Int, Int, Int) { (parts, columns.y, columns.z) }
  }

  /// Pixels that a part of a weight gradient has at the most: its sums are fp32. A sum of bf16 products in steps of 16 errs by 2⁻²⁴ a step, by 6·10⁻⁵ of
  /// itself at the worst, where its factors have 4·10⁻³; an exact one is made of sums of 256.
  private static let mostPixels = 16384

  /// With its parts: as many as make blocks for all multiprocessors at once, and none that would have to wait for another to end; or its share of those.
  private func cut(_ candidate: Candidate, pixels: Int, columns: (y: Int, z: Int)) -> Gradients {
    let needed = (pixels + Self.mostPixels - 1) / Self.mostPixels
    let room = candidate.kernels[0].residentBlocks * multiprocessors / (columns.y * columns.z)
    let parts = max(needed, min((pixels + 63) / 64, room) / candidate.share, 1)
    return Gradients(candidate: candidate, parts: parts, columns: columns)
  }

  /// `whole`: kernels that do all of it, the first of which is the rule's, and the channels that a block of theirs has. Otherwise each of `data` with `weights`.
  private func gradients(
    _ question: Question, whole: [CUDAKernel], channels: Int, weights: CUDAKernel, columns: (y: Int, z: Int),
    data: [CUDAKernel]
  ) -> Gradients {
    let rule = whole.isEmpty ? largest(data, pixels: question.pixels, columns: (question.inputLanes + 127) / 128) : 0
    let candidates =
      whole.map { Candidate(kernels: [$0]) } + data.map { Candidate(kernels: [weights, $0]) }
      + [2, 4].flatMap { share in whole.map { Candidate(kernels: [$0], share: share) } }
    let chosen = choose(question, candidates, rule: rule)
    return cut(
      chosen, pixels: question.pixels,
      columns: chosen.kernels.count == 1 ? ((question.inputLanes + channels - 1) / channels, 1) : columns)
  }

  private static let pointwiseGradients = ["64", "32", "64_90a", "64_bulk_90", "64_bulk_90a"]

  /// Of a 1×1 convolution.
  func pointwiseGradients(_ question: Question, _ precision: Precision) -> Gradients {
    let isWhole = precision == .bf16 && question.operation == .pointwiseGradients && question.outputLanes <= 128
    return gradients(
      question, whole: isWhole ? named(Self.pointwiseGradients.map { "pointwise_gradients_\($0)_bf16" }) : [],
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
    return cut(Candidate(kernels: [kernel]), pixels: pixels, columns: columns)
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
