import CKernels
import Platform

/// Inference in the fused engine: one image at a time, by one thread or by all.
///
/// Every convolution reads relu(s·x + t) from a tile that is made as it is needed; `norm2` and its ReLU are part of the
/// bottleneck's weights and epilogue, `norm0` of the stem's pool. Each value is computed in one order whatever the tile and the thread, so
/// an image's logits have the same bits in any batch and for any number of threads. `CPUInference+Weights` folds and packs,
/// `CPUInference+Forward` has the layers.
final class CPUInference {
  /// A dense layer's numbers.
  struct Layer {
    let scale: UnsafeMutablePointer<Float>
    let shift: UnsafeMutablePointer<Float>
    let weights1: Activations
    let bias: UnsafeMutablePointer<Float>
    let weights2: Activations
  }

  struct Block {
    let plan: CPUPlan.Block
    let layers: [Layer]
    /// Of the transition behind it, or of the head.
    let scale: UnsafeMutablePointer<Float>
    let shift: UnsafeMutablePointer<Float>
    /// Of the transition.
    let weights: Activations
    /// Where the slabs of a tile begin, `tilePixels` apart.
    let tileSegments: UnsafePointer<Int>
    let tilePixels: Int
  }

  /// What one thread works in.
  struct Tiles {
    /// Of a 1×1 convolution or the stem.
    let pixels: Activations
    /// A chunk of a bottleneck, transformed, and what comes of it.
    let transformed: Activations
    let products: UnsafeMutablePointer<Float>
  }

  /// One image's activations.
  struct Maps {
    let image: Activations
    /// Of each block.
    let slabs: [SlabMap]
    /// Of each block: its bottleneck, rectified.
    let bottlenecks: [SlabMap]
  }

  let plan: CPUPlan
  let layout: ParameterLayout
  let kernels: ck_kernels
  let team: WorkerTeam
  let arena = Arena()

  let stemWeights: Activations
  let stemScale: UnsafeMutablePointer<Float>
  let stemShift: UnsafeMutablePointer<Float>
  let stemRows: UnsafePointer<Int>
  let stemSlabs: ChannelSlabs
  var blocks: [Block] = []
  private var maps: [Maps] = []
  private var tiles: [Tiles] = []
  /// 1 and 0: what a slab is normalised by that is already.
  let neutralScale: UnsafeMutablePointer<Float>
  let neutralShift: UnsafeMutablePointer<Float>
  var classifier: [Float] = []
  var classifierBias: [Float] = []

  init(_ plan: Plan, kernels: ck_kernels, _ precision: Precision, team: WorkerTeam) {
    let fused = CPUPlan(plan, precision)
    self.plan = fused
    layout = plan.layout
    self.kernels = kernels
    self.team = team
    let arena = arena
    stemSlabs = ChannelSlabs(fused.stem.convolved.channels)
    stemWeights = arena.activations(stemSlabs.count * 7 * fused.stemDepth * ChannelSlabs.lanes, precision)
    stemScale = arena.floats(stemSlabs.lanes)
    stemShift = arena.floats(stemSlabs.lanes)
    stemRows = arena.offsets((0..<7).map { $0 * fused.paddedImagePitch })
    neutralScale = arena.floats(ChannelSlabs.lanes)
    neutralScale.update(repeating: 1, count: ChannelSlabs.lanes)
    neutralShift = arena.floats(ChannelSlabs.lanes)
    blocks = fused.blocks.map { block in
      let layers = block.layers.indices.map { layer in
        let inputs = block.inputSlabs(of: layer)
        return Layer(
          scale: arena.floats(inputs * ChannelSlabs.lanes), shift: arena.floats(inputs * ChannelSlabs.lanes),
          weights1: arena.activations(packing1(block, layer).size, precision),
          bias: arena.floats(block.bottleneck.lanes),
          weights2: arena.activations(packing2(block).size, precision))
      }
      let tilePixels = max(CPUPlan.tilePixels(slabs: 1), block.width)
      return Block(
        plan: block, layers: layers, scale: arena.floats(block.slabs.lanes), shift: arena.floats(block.slabs.lanes),
        weights: arena.activations(block.transition.map { packing($0, block).size } ?? 0, precision),
        tileSegments: arena.offsets((0..<block.slabs.count).map { $0 * tilePixels * ChannelSlabs.lanes }),
        tilePixels: tilePixels)
    }
    // Memory is touched, and so taken, only by the threads and batches that come.
    let stemTile = 4 * stemSlabs.count * fused.stem.convolved.width * ChannelSlabs.lanes
    let tileSize = blocks.map { $0.plan.slabs.count * $0.tilePixels * ChannelSlabs.lanes }.reduce(stemTile, max)
    let block = fused.blocks[0]
    tiles = (0..<team.threads).map { _ in
      Tiles(
        pixels: arena.activations(tileSize, precision),
        transformed: arena.activations(Winograd.chunkSize(slabs: block.bottleneck.count), precision),
        products: arena.floats(Winograd.chunkSize(slabs: block.growth.count)))
    }
    maps = (0..<min(team.threads, plan.batchSize)).map { _ in
      Maps(
        image: arena.activations(fused.paddedImageSize, precision),
        slabs: fused.blocks.map { arena.slabs($0.slabs.count, pixels: $0.area, precision) },
        bottlenecks: fused.blocks.map { arena.slabs($0.bottleneck.count, pixels: $0.area, precision) })
    }
  }

  /// Logits `[N, L]` and, where wanted, feature maps `[N, C, H, W]` of `count` images `[N, C, H, W]`.
  func run(_ images: [Float], count: Int, keepingFeatures: Bool) -> Inference {
    let (classes, features) = (plan.head.classCount, plan.head.input)
    var logits = [Float](repeating: 0, count: count * classes)
    var kept = [Float](repeating: 0, count: keepingFeatures ? count * features.count : 0)
    images.withUnsafeBufferPointer { images in
      logits.withUnsafeMutableBufferPointer { logits in
        kept.withUnsafeMutableBufferPointer { kept in
          func pass(_ image: Int, _ maps: Maps, _ tiles: Tiles, _ share: Share) {
            let pixels = images.baseAddress.map { $0 + image * plan.stem.image.count }
            guard let pixels else { return }
            forward(pixels, maps, tiles, share)
            guard share.part == 0 else { return }
            classify(maps, into: UnsafeMutableBufferPointer(rebasing: logits[image * classes..<(image + 1) * classes]))
            guard keepingFeatures else { return }
            keepFeatures(
              maps,
              in: UnsafeMutableBufferPointer(rebasing: kept[image * features.count..<(image + 1) * features.count])
            )
          }
          // Whole images as long as there is one for every thread; the rest is shared.
          let whole = count / team.threads * team.threads
          team.run { part in
            for image in Share(part: part, parts: team.threads).range(whole) {
              pass(image, maps[part], tiles[part], Share(part: 0, parts: 1))
            }
            for image in whole..<count {
              // Nobody writes the shared maps while another still reads the last image's.
              team.barrier()
              pass(image, maps[0], tiles[part], Share(part: part, parts: team.threads))
            }
          }
        }
      }
    }
    return Inference(logits: logits, features: kept)
  }

  // MARK: The head

  private var floor: Float { plan.head.hasReLU ? 0 : -.infinity }

  private func classify(_ maps: Maps, into logits: UnsafeMutableBufferPointer<Float>) {
    let last = blocks.count - 1
    let (block, slabs) = (blocks[last], maps.slabs[last])
    let channels = plan.head.input.channels
    withUnsafeTemporaryAllocation(of: Float.self, capacity: block.plan.slabs.lanes) { sums in
      guard let sums = sums.baseAddress else { return }
      for slab in 0..<block.plan.slabs.count {
        kernels.pooling.head_sum(
          sums + slab * ChannelSlabs.lanes, slabs.at(slab), block.scale + slab * ChannelSlabs.lanes,
          block.shift + slab * ChannelSlabs.lanes, floor, block.plan.area)
      }
      for index in logits.indices {
        var logit: Float = 0
        block.plan.slabs.forEachChannel { channel, lane in
          logit += classifier[index * channels + channel] * sums[lane]
        }
        logits[index] = logit / Float(block.plan.area) + classifierBias[index]
      }
    }
  }

  private func keepFeatures(_ maps: Maps, in features: UnsafeMutableBufferPointer<Float>) {
    let last = blocks.count - 1
    let (block, slabs) = (blocks[last], maps.slabs[last])
    let area = block.plan.area
    withUnsafeTemporaryAllocation(of: Float.self, capacity: area * ChannelSlabs.lanes) { slab in
      guard let slab = slab.baseAddress else { return }
      for (index, channels) in block.plan.slabs.slabs.enumerated() {
        kernels.packing.widen(slab, slabs.at(index), area * ChannelSlabs.lanes)
        for (place, channel) in channels.enumerated() {
          let lane = index * ChannelSlabs.lanes + place
          for pixel in 0..<area {
            let value = block.scale[lane] * slab[pixel * ChannelSlabs.lanes + place] + block.shift[lane]
            features[channel * area + pixel] = value < floor ? floor : value
          }
        }
      }
    }
  }
}
