import CCUDAKernels
import Engine

/// What the way back needs beside the forward pass's maps: where gradients, debts and parts of sums lie.
///
/// The gradient that a block gathers, G, is of A, as PyTorch's: gradient_parameters.h says what that costs.
struct CUDAGradients {
  typealias Buffer = MemoryPlan.Buffer

  /// What the lanes of a map owe (`debt_sums` and `debt_pair`).
  struct Debts {
    let owed: Buffer
    let debts: Buffer
  }

  struct Block {
    /// `[N·H·W][lanes]` of A: G.
    let gradient: Buffer
    let debts: Debts
  }

  /// `[trainedCount]` Float each: accumulated gradients, and the optimizer's moments.
  let gradients: Buffer
  let first: Buffer
  let second: Buffer
  /// `[N][L]`: bytes of labels, Float gradients; `[L]` Float class weights; Doubles: what the gradients are multiplied by, and the loss's sum.
  let labels: Buffer
  let logitGradients: Buffer
  let positive: Buffer
  let negative: Buffer
  let scale: Buffer
  let lossSum: Buffer
  /// `[N][lanes]` Float.
  let share: Buffer
  let blocks: [Block]
  /// `[pixels][lanes]` of A, of the largest map: a gradient behind a gate, which is resolved in its place.
  let gated: Buffer
  /// Of a dense layer's new channels, resolved.
  let grown: Buffer
  /// Of bottlenecks and of the stem, one after the other.
  let debts: Debts
  /// `gate_sums`, `[parts][lanes]`.
  let sums: Buffer
  /// Float, `[parts][depth][outputs]` of a convolution's weight gradient.
  let partial: Buffer
  /// Double: one a block of the gradient's norm, and the norm.
  let squares: Buffer
  let norm: Buffer

  /// Blocks that a gradient's norm is computed by.
  static let normBlocks = 256

  /// Into how many parts the pixels of a pool's or the head's gradient are cut.
  static func sumParts(_ pixels: Int) -> Int { max(1, min(1024, (pixels + 63) / 64)) }

  /// What of a network is needed before it is complete.
  struct Forward {
    let plan: Plan
    let precision: Precision
    let batch: Int
    let stem: Stem
    let stemConvolution: CUDANetwork.Convolution
    let blocks: [CUDANetwork.Block]
  }

  init(_ network: Forward, _ places: inout Places, _ choice: CUDAKernelChoice) {
    let (plan, batch, size) = (network.plan, network.batch, network.precision.size)
    let (trained, classes) = (plan.layout.trainedCount, plan.architecture.classCount)
    gradients = places.always("gradients", 4 * trained)
    first = places.always("first moments", 4 * trained)
    second = places.always("second moments", 4 * trained)
    labels = places.always("labels", batch * classes)
    logitGradients = places.always("logit gradients", 4 * batch * classes)
    positive = places.always("positive weights", 4 * classes)
    negative = places.always("negative weights", 4 * classes)
    scale = places.always("loss scale", 8)
    lossSum = places.always("loss", 8)

    func debts(_ name: String, _ lanes: Int) -> Debts {
      Debts(
        owed: places.always(name + " owed", lanes * MemoryLayout<debt_sums>.stride),
        debts: places.always(name + " debts", lanes * MemoryLayout<debt_pair>.stride))
    }
    func pixels(_ block: CUDANetwork.Block) -> Int { batch * block.plan.area }
    blocks = network.blocks.enumerated().map { index, block in
      let name = "denseblock\(index + 1)"
      return Block(
        gradient: places.map(
          name + " gradient", size * pixels(block) * block.lanes,
          during: (index + 1 == network.blocks.count ? places.headBack : places.back(index))...places.back(index - 1)),
        debts: debts(name, block.lanes))
    }
    let back = places.headBack...places.last
    share = places.map("share", 4 * batch * (network.blocks.last?.lanes ?? 0), during: back)

    let stemPixels = batch * network.stem.convolved.area
    let stemLanes = network.stemConvolution.outputLanes
    // The largest of: the stem's map, a bottleneck, what a transition pooled, and its outputs.
    let mostGated =
      network.blocks.map { block in
        let pooled = block.transition.map { _ in pixels(block) / 4 * block.lanes } ?? 0
        return max(pixels(block) * block.plan.bottleneck.lanes, pooled)
      }.max() ?? 0
    gated = places.map("gated", size * max(mostGated, stemPixels * stemLanes), during: back)
    grown = places.map(
      "grown",
      size * (network.blocks.map { pixels($0) * max($0.plan.growth.lanes, $0.plan.inputSlabs * 32) }.max() ?? 0),
      during: back)
    self.debts = debts("stem and bottlenecks", max(stemLanes, network.blocks.map(\.plan.bottleneck.lanes).max() ?? 0))

    let mostSums =
      network.blocks.map { block in
        max(
          (pixels(block) + 31) / 32 * max(block.lanes, block.plan.bottleneck.lanes),
          Self.sumParts(pixels(block)) * block.lanes)
      }.max() ?? 0
    sums = places.map(
      "gate sums",
      max(mostSums, Self.sumParts(stemPixels) * stemLanes) * MemoryLayout<gate_sums>.stride, during: back)

    let precision = network.precision
    func bytes(_ convolution: CUDANetwork.Convolution, _ gradients: CUDAKernelChoice.Gradients) -> Int {
      4 * gradients.parts * convolution.elements
    }
    let layers = network.blocks.flatMap { block in
      block.layers.flatMap { layer in
        [
          bytes(
            layer.convolution1, choice.pointwiseGradients(block.pointwiseQuestion(layer, pixels(block)), precision)),
          bytes(layer.convolution2, choice.growthGradients(block.growthQuestion(layer, pixels(block)), precision)),
        ]
      }
    }
    let transitions = network.blocks.compactMap { block in
      block.transition.map {
        bytes(
          $0.convolution, choice.pointwiseGradients(block.transitionQuestion($0, pixels(block) / 4), precision))
      }
    }
    let stem = bytes(
      network.stemConvolution, choice.stemGradient(network.stemConvolution, pixels: stemPixels, precision))
    partial = places.map("weight gradients", max((layers + transitions).max() ?? 0, stem), during: back)
    squares = places.always("squares", 8 * Self.normBlocks)
    norm = places.always("norm", 8)
  }
}

extension CUDANetwork.Block {
  /// What the kernels of the way back are chosen for: of a layer's convolutions, and of the transition's, whose pixels are those behind its pool.
  func pointwiseQuestion(_ layer: CUDANetwork.Layer, _ pixels: Int) -> CUDAKernelChoice.Question {
    .init(.pointwiseGradients, layer.convolution1, pixels: pixels)
  }
  func growthQuestion(_ layer: CUDANetwork.Layer, _ pixels: Int) -> CUDAKernelChoice.Question {
    .init(.growthGradients, layer.convolution2, width: plan.width, pixels: pixels)
  }
  func transitionQuestion(_ transition: CUDANetwork.Transition, _ pixels: Int) -> CUDAKernelChoice.Question {
    .init(.transitionGradients, transition.convolution, pixels: pixels)
  }
}
