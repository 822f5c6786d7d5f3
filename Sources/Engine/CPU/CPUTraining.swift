import CKernels
import Platform

/// Training in the fused engine: the network's memory and its way forward; `CPUTraining+Backward` has the way back.
///
/// What a forward pass keeps are the raw outputs of the convolutions: the normalised and rectified ones are made again, tile by tile, when
/// the way back needs them. Images are shared out between the threads; sums over images follow an order that the batch alone
/// decides (`ImageSums`, and weight gradients over min(N, 4) groups of images), so the bits do not depend on the threads.
final class CPUTraining {
  /// A convolution's weights as both ways need them.
  struct Convolution {
    let packing: WeightPacking
    let range: Range<Int>
    let forward: UnsafeMutablePointer<Float>
    let backward: UnsafeMutablePointer<Float>

    init(_ packing: WeightPacking, _ parameters: ConvolutionParameters, _ arena: Arena) {
      self.packing = packing
      range = parameters.weight
      forward = arena.floats(packing.size)
      backward = arena.floats(packing.size)
    }
  }

  struct Layer {
    let normalization1: TrainingNormalization
    let convolution1: Convolution
    let normalization2: TrainingNormalization
    let convolution2: Convolution
    /// Behind the first convolution.
    let bottleneck: SlabMap
    let statistics: BatchStatistics
  }

  struct Block {
    let plan: CPUPlan.Block
    let layers: [Layer]
    let slabs: SlabMap
    let statistics: BatchStatistics
    /// What is known of the slabs' gradients but for the debts. Every second block uses the same memory.
    let gradient: SlabMap
    /// The batch norm of the transition behind the block, or of the head.
    let normalization: TrainingNormalization
    /// Of the transition.
    let convolution: Convolution?
    /// Slabs of a pointwise tile, `tilePixels` apart.
    let tileSegments: UnsafePointer<Int>
    let tilePixels: Int
    /// Rows of a 3×3 convolution's tile.
    let haloRows: Int
  }

  /// What one thread works in.
  struct Scratch {
    /// Activations of a tile.
    let tile: UnsafeMutablePointer<Float>
    /// Gradients of a tile.
    let gradient: UnsafeMutablePointer<Float>
    /// A single slab of a tile.
    let slab: UnsafeMutablePointer<Float>
    /// Two sums a lane.
    let sums: UnsafeMutablePointer<Float>
  }

  let plan: Plan
  let fused: CPUPlan
  let kernels: ck_kernels
  let team: WorkerTeam
  let arena = Arena()

  /// The flat buffer, and of its trained part the gradients and the optimizer's moments.
  let values: UnsafeMutablePointer<Float>
  let gradients: UnsafeMutablePointer<Float>
  let first: UnsafeMutablePointer<Float>
  let second: UnsafeMutablePointer<Float>
  var steps = 0
  /// Whether `values` changed since they were packed.
  var isStale = true

  let images: UnsafeMutablePointer<Float>
  let stemSlabs: ChannelSlabs
  let stemPacking: StemPacking
  let stemWeights: UnsafeMutablePointer<Float>
  let stemRows: UnsafePointer<Int>
  let stemNormalization: TrainingNormalization
  let stemStatistics: BatchStatistics
  /// Behind the stem's convolution.
  let convolved: SlabMap
  /// Its gradient; lies where the first block's bottlenecks do, which are done with by then.
  let convolvedGradient: SlabMap
  var blocks: [Block] = []
  /// Of a bottleneck.
  let bottleneckGradient: UnsafeMutablePointer<Float>
  let sums: ImageSums
  /// Blocks of weight gradients of up to four groups.
  let weightGradients: UnsafeMutablePointer<Float>
  var scratch: [Scratch] = []
  /// `[N, C]`.
  var pooled: [Float] = []

  static let mostGroups = 4

  init(_ plan: Plan, kernels: ck_kernels, team: WorkerTeam) {
    let fused = CPUPlan(plan)
    let (arena, stem, n) = (arena, fused.stem, plan.batchSize)
    self.plan = plan
    self.fused = fused
    self.kernels = kernels
    self.team = team
    values = arena.floats(plan.layout.count)
    gradients = arena.floats(plan.layout.trainedCount)
    first = arena.floats(plan.layout.trainedCount)
    second = arena.floats(plan.layout.trainedCount)
    images = arena.floats(n * fused.paddedImageSize)
    stemSlabs = ChannelSlabs(stem.convolved.channels)
    stemPacking = StemPacking(
      packing: kernels.packing, channels: stem.image.channels, outputs: stemSlabs, depth: fused.stemDepth)
    stemWeights = arena.floats(stemPacking.size)
    stemRows = arena.offsets((0..<7).map { $0 * fused.paddedImagePitch })
    stemNormalization = TrainingNormalization(stem.normalization, stemSlabs, arena)
    stemStatistics = BatchStatistics(lanes: stemSlabs.lanes, arena)
    convolved = arena.slabs(stemSlabs.count, pixels: n * stem.convolved.area)

    let lanes = fused.blocks.map { $0.slabs.lanes }.reduce(stemSlabs.lanes, max)
    sums = ImageSums(lanes: max(lanes, fused.blocks[0].bottleneck.lanes), images: n, arena)
    let bottleneckSizes = fused.blocks.map { $0.bottleneck.lanes * n * $0.area }
    bottleneckGradient = arena.floats(bottleneckSizes.max() ?? 0)
    let stemSize = stemSlabs.lanes * n * stem.convolved.area
    let firstBottlenecks = arena.floats(max(bottleneckSizes[0] * fused.blocks[0].layers.count, stemSize))
    convolvedGradient = SlabMap(base: firstBottlenecks, pixels: convolved.pixels)
    let gradientSizes = fused.blocks.map { $0.slabs.lanes * n * $0.area }
    let blockGradients = (0..<min(2, gradientSizes.count)).map { parity in
      arena.floats(stride(from: parity, to: gradientSizes.count, by: 2).map { gradientSizes[$0] }.max() ?? 0)
    }
    var largestPacking = fused.weightGradientDepth * stemSlabs.count * 7 * ChannelSlabs.lanes
    blocks = fused.blocks.enumerated().map { index, block in
      func convolution(
        _ inputs: ChannelSlabs, _ count: Int, _ outputs: ChannelSlabs, taps: Int, _ parameters: ConvolutionParameters
      ) -> Convolution {
        let packing = WeightPacking(
          packing: kernels.packing, inputs: inputs, inputSlabs: count, outputs: outputs, taps: taps)
        largestPacking = max(largestPacking, packing.size)
        return Convolution(packing, parameters, arena)
      }
      let layers = block.layers.enumerated().map { layer, parameters in
        let inputs = block.inputSlabs(of: layer)
        return Layer(
          normalization1: TrainingNormalization(parameters.normalization1, block.slabs, prefix: inputs, arena),
          convolution1: convolution(block.slabs, inputs, block.bottleneck, taps: 1, parameters.convolution1),
          normalization2: TrainingNormalization(parameters.normalization2, block.bottleneck, arena),
          convolution2: convolution(
            block.bottleneck, block.bottleneck.count, block.growth, taps: 9, parameters.convolution2),
          bottleneck: index == 0
            ? SlabMap(base: firstBottlenecks + layer * bottleneckSizes[0], pixels: n * block.area)
            : arena.slabs(block.bottleneck.count, pixels: n * block.area),
          statistics: BatchStatistics(lanes: block.bottleneck.lanes, arena))
      }
      let tilePixels = CPUPlan.bandRows(width: block.width, slabs: 1) * block.width
      return Block(
        plan: block, layers: layers, slabs: arena.slabs(block.slabs.count, pixels: n * block.area),
        statistics: BatchStatistics(lanes: block.slabs.lanes, arena),
        gradient: SlabMap(base: blockGradients[index % 2], pixels: n * block.area),
        normalization: TrainingNormalization(
          block.transition?.normalization ?? fused.head.normalization, block.slabs, arena),
        convolution: block.transition.map {
          convolution(
            block.slabs, block.slabs.count, ChannelSlabs($0.output.channels), taps: 1, $0.convolution)
        },
        tileSegments: arena.offsets(
          (0..<max(block.slabs.count, block.bottleneck.count)).map { $0 * tilePixels * ChannelSlabs.lanes }),
        tilePixels: tilePixels, haloRows: min(block.height, max(1, 392 / block.width)))
    }
    weightGradients = arena.floats(largestPacking * min(n, Self.mostGroups))
    makeScratch()
  }

  private func makeScratch() {
    let stemTile = 3 * fused.stem.convolved.width
    let largest = blocks.map { block in
      let halo = (block.haloRows + 2) * (block.plan.width + 2)
      let slabs = max(block.plan.slabs.count, block.plan.bottleneck.count)
      return max(slabs * block.tilePixels, block.plan.bottleneck.count * halo)
    }
    let tile = largest.reduce(stemTile, max) * ChannelSlabs.lanes
    // A gradient's tile holds a map of pooled pixels, a stem's rows, a transition's output or a bottleneck's.
    let wholeMap = fused.stem.output.area
    let gradient = max(
      tile, max(wholeMap, stemSlabs.count * stemBand * fused.stem.convolved.width) * ChannelSlabs.lanes)
    let lanes = blocks.map { $0.plan.slabs.lanes }.reduce(max(stemSlabs.lanes, blocks[0].plan.bottleneck.lanes), max)
    scratch = (0..<team.threads).map { _ in
      Scratch(
        tile: arena.floats(tile), gradient: arena.floats(gradient), slab: arena.floats(tile),
        sums: arena.floats(2 * lanes))
    }
  }

  /// Rows of the stem's convolution in a tile.
  var stemBand: Int { CPUPlan.bandRows(width: fused.stem.convolved.width, slabs: 1) }

  /// Calls `body` for each image, from all threads, with the thread's scratch.
  func forEachImage(_ count: Int, _ body: (Int, Scratch) -> Void) {
    team.run { part in
      for image in Share(part: part, parts: team.threads).range(count) { body(image, scratch[part]) }
    }
  }

  // MARK: Weights

  private func packWeights() {
    guard isStale else { return }
    isStale = false
    let all = convolutions
    stemPacking.pack(values + fused.stem.convolution.weight.lowerBound, into: stemWeights)
    team.forEach(2 * all.count) { index in
      // Long and short ones alternate, so that each thread has as much of both.
      let convolution = all[index / 2]
      let weights = UnsafePointer(values + convolution.range.lowerBound)
      if index % 2 == 0 {
        convolution.packing.pack(weights, into: convolution.forward)
      } else {
        convolution.packing.packTransposed(weights, into: convolution.backward)
      }
    }
  }

  private var convolutions: [Convolution] {
    blocks.flatMap { block in
      block.layers.flatMap { [$0.convolution1, $0.convolution2] } + (block.convolution.map { [$0] } ?? [])
    }
  }

  // MARK: Forward

  /// Runs `count` images forward with the batch's statistics, and moves the running ones; returns the logits `[N, L]`.
  func forward(_ pixels: [Float], count: Int) -> [Float] {
    packWeights()
    stem(pixels, count)
    for (index, block) in blocks.enumerated() {
      for layer in block.layers.indices {
        prepare(
          block.layers[layer].normalization1, block.statistics, pixels: count * block.plan.area)
        bottleneck(block, layer, count)
        growth(block, layer, count)
      }
      prepare(block.normalization, block.statistics, pixels: count * block.plan.area)
      if block.convolution != nil { transition(block, into: blocks[index + 1], count) }
    }
    return head(count)
  }

  private func prepare(_ normalization: TrainingNormalization, _ statistics: BatchStatistics, pixels: Int) {
    normalization.prepare(statistics, pixels: pixels, architecture: plan.architecture, values)
  }

  /// The batch norm that reads the slabs behind layer `layer` (−1: the block's input) first.
  private func reader(_ block: Block, behind layer: Int) -> TrainingNormalization {
    layer + 1 < block.layers.count ? block.layers[layer + 1].normalization1 : block.normalization
  }

  private func stem(_ pixels: [Float], _ count: Int) {
    let (input, convolvedShape, output) = (fused.stem.image, fused.stem.convolved, fused.stem.output)
    let (channels, pitch, lanes) = (input.channels, fused.paddedImagePitch, stemSlabs.lanes)
    stemNormalization.guess(stemStatistics, values)
    pixels.withUnsafeBufferPointer { pixels in
      guard let base = pixels.baseAddress else { return }
      forEachImage(count) { image, scratch in
        let padded = images + image * fused.paddedImageSize
        for y in 0..<input.height {
          kernels.packing.interleave(
            padded + (y + 3) * pitch + 3 * channels, base + image * input.count + y * input.width, channels, input.area,
            input.width)
        }
        sums.begin(image: image, lanes: lanes)
        (0..<convolvedShape.height).forEachBand(of: stemBand) { rows in
          for slab in 0..<stemSlabs.count {
            var tile = ck_tile(
              input: padded + 2 * rows.lowerBound * pitch, segment: stemRows, segments: 7, depth: fused.stemDepth,
              stride: 2 * channels, input_pitch: 2 * pitch,
              weights: stemWeights + slab * 7 * fused.stemDepth * ChannelSlabs.lanes,
              output: convolved.at(slab, pixel: image * convolvedShape.area + rows.lowerBound * convolvedShape.width),
              output_pitch: convolvedShape.width * ChannelSlabs.lanes, rows: rows.count, width: convolvedShape.width)
            let lane = slab * ChannelSlabs.lanes
            kernels.convolution.store_summed(
              &tile, stemStatistics.pivot + lane, scratch.sums + lane, scratch.sums + lanes + lane)
          }
          sums.flush(scratch.sums, lanes: lanes, image: image)
        }
      }
    }
    let size = count * convolvedShape.area
    stemStatistics.take(sums.total(lanes: lanes, images: count), from: 0, pixels: size)
    prepare(stemNormalization, stemStatistics, pixels: size)

    let block = blocks[0]
    reader(block, behind: -1).guess(block.statistics, values)
    forEachImage(count) { image, scratch in
      sums.begin(image: image, lanes: lanes)
      for slab in 0..<stemSlabs.count {
        let lane = slab * ChannelSlabs.lanes
        func row(_ y: Int) -> UnsafeMutablePointer<Float>? {
          y < 0 || y >= convolvedShape.height
            ? nil : convolved.at(slab, pixel: image * convolvedShape.area + y * convolvedShape.width)
        }
        for y in 0..<output.height {
          guard let middle = row(2 * y) else { continue }
          let out = block.slabs.at(slab, pixel: image * output.area + y * output.width)
          kernels.pooling.max_pool(
            out, row(2 * y - 1), middle, row(2 * y + 1), stemNormalization.scale + lane, stemNormalization.shift + lane,
            convolvedShape.width)
          kernels.pooling.sums(
            out, block.statistics.pivot + lane, scratch.sums + lane, scratch.sums + lanes + lane, output.width)
        }
      }
      sums.flush(scratch.sums, lanes: lanes, image: image)
    }
    block.statistics.take(sums.total(lanes: lanes, images: count), from: 0, pixels: count * output.area)
  }

  /// `slabs` slabs of a tile of pixels that lie end to end, through a 1×1 convolution.
  func pointwise(
    _ block: Block, _ tile: UnsafeMutablePointer<Float>, slabs: Int, weights: UnsafeMutablePointer<Float>, output: Int,
    into out: UnsafeMutablePointer<Float>, pixels: Int
  ) -> ck_tile {
    ck_tile(
      input: tile, segment: block.tileSegments, segments: slabs, depth: ChannelSlabs.lanes, stride: ChannelSlabs.lanes,
      input_pitch: 0, weights: weights + output * slabs * ChannelSlabs.lanes * ChannelSlabs.lanes, output: out,
      output_pitch: 0, rows: 1, width: pixels)
  }

  private func bottleneck(_ block: Block, _ index: Int, _ count: Int) {
    let (layer, width, area) = (block.layers[index], block.plan.width, block.plan.area)
    let (inputs, lanes) = (block.plan.inputSlabs(of: index), block.plan.bottleneck.lanes)
    let normalization = layer.normalization1
    layer.normalization2.guess(layer.statistics, values)
    forEachImage(count) { image, scratch in
      sums.begin(image: image, lanes: lanes)
      (0..<block.plan.height).forEachBand(of: CPUPlan.bandRows(width: width, slabs: inputs)) { rows in
        let (pixel, pixels) = (image * area + rows.lowerBound * width, rows.count * width)
        for slab in 0..<inputs {
          let lane = slab * ChannelSlabs.lanes
          kernels.packing.normalize(
            scratch.tile + block.tileSegments[slab], block.slabs.at(slab, pixel: pixel), normalization.scale + lane,
            normalization.shift + lane, pixels)
        }
        for output in 0..<block.plan.bottleneck.count {
          let lane = output * ChannelSlabs.lanes
          var tile = pointwise(
            block, scratch.tile, slabs: inputs, weights: layer.convolution1.forward, output: output,
            into: layer.bottleneck.at(output, pixel: pixel), pixels: pixels)
          kernels.convolution.store_summed(
            &tile, layer.statistics.pivot + lane, scratch.sums + lane, scratch.sums + lanes + lane)
        }
        sums.flush(scratch.sums, lanes: lanes, image: image)
      }
    }
    layer.statistics.take(sums.total(lanes: lanes, images: count), from: 0, pixels: count * area)
    prepare(layer.normalization2, layer.statistics, pixels: count * area)
  }

  /// Where the slabs of a tile with a border begin for each of the nine taps.
  func taps(_ block: Block, slabs: Int) -> [Int] {
    let pitch = block.plan.width + 2
    return (0..<9).flatMap { tap in
      (0..<slabs).map { ($0 * (block.haloRows + 2) * pitch + tap / 3 * pitch + tap % 3) * ChannelSlabs.lanes }
    }
  }

  /// The activations that a 3×3 convolution sees: relu(norm2) of a band of a bottleneck, with its border.
  func packHalo(_ block: Block, _ layer: Layer, image: Int, rows: Range<Int>, _ tile: UnsafeMutablePointer<Float>) {
    var band = ck_band(
      height: block.plan.height, width: block.plan.width, first: rows.lowerBound, rows: rows.count)
    for slab in 0..<block.plan.bottleneck.count {
      let lane = slab * ChannelSlabs.lanes
      kernels.packing.normalize_halo(
        tile + slab * haloSize(block), layer.bottleneck.at(slab, pixel: image * block.plan.area),
        layer.normalization2.scale + lane, layer.normalization2.shift + lane, &band)
    }
  }

  /// Floats from a slab of a tile with a border to the next.
  func haloSize(_ block: Block) -> Int { (block.haloRows + 2) * (block.plan.width + 2) * ChannelSlabs.lanes }

  private func growth(_ block: Block, _ index: Int, _ count: Int) {
    let (layer, width, area) = (block.layers[index], block.plan.width, block.plan.area)
    let (firstSlab, outputs, lanes) = (
      block.plan.inputSlabs(of: index), block.plan.growth.count, block.plan.growth.lanes
    )
    let segments = 9 * block.plan.bottleneck.count
    reader(block, behind: index).guess(block.statistics, from: firstSlab, values)
    let pivot = block.statistics.pivot + firstSlab * ChannelSlabs.lanes
    taps(block, slabs: block.plan.bottleneck.count).withUnsafeBufferPointer { taps in
      guard let taps = taps.baseAddress else { return }
      forEachImage(count) { image, scratch in
        sums.begin(image: image, lanes: lanes)
        (0..<block.plan.height).forEachBand(of: block.haloRows) { rows in
          packHalo(block, layer, image: image, rows: rows, scratch.tile)
          for output in 0..<outputs {
            let lane = output * ChannelSlabs.lanes
            var tile = ck_tile(
              input: scratch.tile, segment: taps, segments: segments, depth: ChannelSlabs.lanes,
              stride: ChannelSlabs.lanes, input_pitch: (width + 2) * ChannelSlabs.lanes,
              weights: layer.convolution2.forward + output * segments * ChannelSlabs.lanes * ChannelSlabs.lanes,
              output: block.slabs.at(firstSlab + output, pixel: image * area + rows.lowerBound * width),
              output_pitch: width * ChannelSlabs.lanes, rows: rows.count, width: width)
            kernels.convolution.store_summed(&tile, pivot + lane, scratch.sums + lane, scratch.sums + lanes + lane)
          }
          sums.flush(scratch.sums, lanes: lanes, image: image)
        }
      }
    }
    block.statistics.take(
      sums.total(lanes: lanes, images: count), from: firstSlab * ChannelSlabs.lanes, pixels: count * area)
  }

  /// The mean of 2 × 2 rectified pixels of one slab, `rows` rows of them.
  func packPooled(
    _ block: Block, slab: Int, image: Int, rows: Range<Int>, width: Int, into tile: UnsafeMutablePointer<Float>
  ) {
    let lane = slab * ChannelSlabs.lanes
    kernels.packing.normalize_pooled(
      tile, block.slabs.at(slab, pixel: image * block.plan.area + 2 * rows.lowerBound * block.plan.width),
      block.normalization.scale + lane, block.normalization.shift + lane, rows.count, width, block.plan.width)
  }

  /// Rows of a transition's output in a tile that holds `slabs` slabs.
  func pooledRows(_ block: Block, width: Int, slabs: Int) -> Int {
    min(CPUPlan.bandRows(width: width, slabs: slabs), max(1, block.tilePixels / width))
  }

  /// Average pool and 1×1 convolution commute: pooled first, the convolution has a quarter of the work.
  private func transition(_ block: Block, into next: Block, _ count: Int) {
    guard let convolution = block.convolution else { return }
    let (width, area) = (next.plan.width, next.plan.area)
    let (inputs, outputs) = (block.plan.slabs.count, convolution.packing.outputs.count)
    let lanes = outputs * ChannelSlabs.lanes
    reader(next, behind: -1).guess(next.statistics, values)
    forEachImage(count) { image, scratch in
      sums.begin(image: image, lanes: lanes)
      (0..<next.plan.height).forEachBand(of: pooledRows(block, width: width, slabs: inputs)) { rows in
        for slab in 0..<inputs {
          packPooled(
            block, slab: slab, image: image, rows: rows, width: width, into: scratch.tile + block.tileSegments[slab])
        }
        for output in 0..<outputs {
          let lane = output * ChannelSlabs.lanes
          var tile = pointwise(
            block, scratch.tile, slabs: inputs, weights: convolution.forward, output: output,
            into: next.slabs.at(output, pixel: image * area + rows.lowerBound * width), pixels: rows.count * width)
          kernels.convolution.store_summed(
            &tile, next.statistics.pivot + lane, scratch.sums + lane, scratch.sums + lanes + lane)
        }
        sums.flush(scratch.sums, lanes: lanes, image: image)
      }
    }
    next.statistics.take(sums.total(lanes: lanes, images: count), from: 0, pixels: count * area)
  }

  var floor: Float { fused.head.hasReLU ? 0 : -.infinity }

  private func head(_ count: Int) -> [Float] {
    let block = blocks[blocks.count - 1]
    let (channels, classes) = (fused.head.input.channels, fused.head.classCount)
    pooled = [Float](repeating: 0, count: count * channels)
    pooled.withUnsafeMutableBufferPointer { pooled in
      forEachImage(count) { image, scratch in
        for slab in 0..<block.plan.slabs.count {
          let lane = slab * ChannelSlabs.lanes
          kernels.pooling.head_sum(
            scratch.tile + lane, block.slabs.at(slab, pixel: image * block.plan.area), block.normalization.scale + lane,
            block.normalization.shift + lane, floor, block.plan.area)
        }
        block.plan.slabs.forEachChannel { channel, lane in
          pooled[image * channels + channel] = scratch.tile[lane] / Float(block.plan.area)
        }
      }
    }
    let (weights, bias) = (
      values + fused.head.classifierWeight.lowerBound, values + fused.head.classifierBias.lowerBound
    )
    return (0..<count * classes).map { index in
      let (image, label) = index.quotientAndRemainder(dividingBy: classes)
      var logit: Float = 0
      for channel in 0..<channels { logit += weights[label * channels + channel] * pooled[image * channels + channel] }
      return logit + bias[label]
    }
  }
}
