import CKernels
import Platform

/// Inference in the fused engine: one image at a time, by one thread or by all.
///
/// Every convolution reads relu(s·x + t) from a tile that is made as it is needed; `norm2` and its ReLU are part of the
/// bottleneck's weights and epilogue, `norm0` of the stem's pool. Each value is computed in one order whatever the tile and the thread, so
/// an image's logits have the same bits in any batch and for any number of threads.
final class CPUInference {
  /// A dense layer's numbers.
  private struct Layer {
    let scale: UnsafeMutablePointer<Float>
    let shift: UnsafeMutablePointer<Float>
    let weights1: UnsafeMutablePointer<Float>
    let bias: UnsafeMutablePointer<Float>
    let weights2: UnsafeMutablePointer<Float>
  }

  private struct Block {
    let plan: CPUPlan.Block
    let layers: [Layer]
    /// Of the transition behind it, or of the head.
    let scale: UnsafeMutablePointer<Float>
    let shift: UnsafeMutablePointer<Float>
    /// Of the transition.
    let weights: UnsafeMutablePointer<Float>
    /// Where the slabs of a tile begin, `tilePixels` apart.
    let tileSegments: UnsafePointer<Int>
    let tilePixels: Int
  }

  /// What one thread works in.
  private struct Tiles {
    /// Of a 1×1 convolution or the stem.
    let pixels: UnsafeMutablePointer<Float>
    /// A chunk of a bottleneck, transformed, and what comes of it.
    let transformed: UnsafeMutablePointer<Float>
    let products: UnsafeMutablePointer<Float>
  }

  /// One image's activations.
  private struct Maps {
    let image: UnsafeMutablePointer<Float>
    /// Of each block.
    let slabs: [SlabMap]
    /// Of each block: its bottleneck, rectified.
    let bottlenecks: [SlabMap]
  }

  private let plan: CPUPlan
  private let layout: ParameterLayout
  private let kernels: ck_kernels
  private let team: WorkerTeam
  private let arena = Arena()

  private let stemWeights: UnsafeMutablePointer<Float>
  private let stemScale: UnsafeMutablePointer<Float>
  private let stemShift: UnsafeMutablePointer<Float>
  private let stemRows: UnsafePointer<Int>
  private let stemSlabs: ChannelSlabs
  private var blocks: [Block] = []
  private var maps: [Maps] = []
  private var tiles: [Tiles] = []
  /// 1 and 0: what a slab is normalised by that is already.
  private let neutralScale: UnsafeMutablePointer<Float>
  private let neutralShift: UnsafeMutablePointer<Float>
  private var classifier: [Float] = []
  private var classifierBias: [Float] = []

  init(_ plan: Plan, kernels: ck_kernels, team: WorkerTeam) {
    let fused = CPUPlan(plan)
    self.plan = fused
    layout = plan.layout
    self.kernels = kernels
    self.team = team
    let arena = arena
    stemSlabs = ChannelSlabs(fused.stem.convolved.channels)
    stemWeights = arena.floats(stemSlabs.count * 7 * fused.stemDepth * ChannelSlabs.lanes)
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
          weights1: arena.floats(packing1(block, layer).size), bias: arena.floats(block.bottleneck.lanes),
          weights2: arena.floats(packing2(block).size))
      }
      let tilePixels = max(CPUPlan.tilePixels(slabs: 1), block.width)
      return Block(
        plan: block, layers: layers, scale: arena.floats(block.slabs.lanes), shift: arena.floats(block.slabs.lanes),
        weights: arena.floats(block.transition.map { packing($0, block).size } ?? 0),
        tileSegments: arena.offsets((0..<block.slabs.count).map { $0 * tilePixels * ChannelSlabs.lanes }),
        tilePixels: tilePixels)
    }
    // Memory is touched, and so taken, only by the threads and batches that come.
    let stemTile = 4 * stemSlabs.count * fused.stem.convolved.width * ChannelSlabs.lanes
    let tileSize = blocks.map { $0.plan.slabs.count * $0.tilePixels * ChannelSlabs.lanes }.reduce(stemTile, max)
    let block = fused.blocks[0]
    tiles = (0..<team.threads).map { _ in
      Tiles(
        pixels: arena.floats(tileSize), transformed: arena.floats(Winograd.chunkSize(slabs: block.bottleneck.count)),
        products: arena.floats(Winograd.chunkSize(slabs: block.growth.count)))
    }
    maps = (0..<min(team.threads, plan.batchSize)).map { _ in
      Maps(
        image: arena.floats(fused.paddedImageSize),
        slabs: fused.blocks.map { arena.slabs($0.slabs.count, pixels: $0.area) },
        bottlenecks: fused.blocks.map { arena.slabs($0.bottleneck.count, pixels: $0.area) })
    }
  }

  private func packing1(_ block: CPUPlan.Block, _ layer: Int) -> WeightPacking {
    WeightPacking(
      packing: kernels.packing, inputs: block.slabs, inputSlabs: block.inputSlabs(of: layer),
      outputs: block.bottleneck)
  }

  private func packing2(_ block: CPUPlan.Block) -> WinogradPacking {
    WinogradPacking(kernels: kernels, inputs: block.bottleneck, outputs: block.growth)
  }

  private func packing(_ transition: Transition, _ block: CPUPlan.Block) -> WeightPacking {
    WeightPacking(
      packing: kernels.packing, inputs: block.slabs, inputSlabs: block.slabs.count,
      outputs: ChannelSlabs(transition.output.channels))
  }

  // MARK: Weights

  /// Folds and packs the flat buffer.
  func load(_ values: [Float]) {
    let epsilon = layout.architecture.batchNormEpsilon
    /// s and t of a batch norm by its running statistics, in Double.
    func affine(_ parameters: NormalizationParameters, _ channel: Int) -> (scale: Double, shift: Double) {
      let scale =
        Double(values[parameters.scale.lowerBound + channel])
        / (Double(values[parameters.runningVariance.lowerBound + channel]) + epsilon).squareRoot()
      return (
        scale,
        Double(values[parameters.shift.lowerBound + channel])
          - Double(values[parameters.runningMean.lowerBound + channel]) * scale
      )
    }
    func fold(
      _ parameters: NormalizationParameters, _ slabs: ChannelSlabs, prefix: Int? = nil,
      _ scales: UnsafeMutablePointer<Float>, _ shifts: UnsafeMutablePointer<Float>
    ) {
      slabs.forEachChannel(prefix: prefix) { channel, lane in
        let (scale, shift) = affine(parameters, channel)
        scales[lane] = Float(scale)
        shifts[lane] = Float(shift)
      }
    }
    values.withUnsafeBufferPointer { values in
      let weights = SharedConstPointer(values)
      StemPacking(
        packing: kernels.packing, channels: plan.stem.image.channels, outputs: stemSlabs, depth: plan.stemDepth
      ).pack(weights + plan.stem.convolution.weight.lowerBound, into: stemWeights)
      fold(plan.stem.normalization, stemSlabs, stemScale, stemShift)
      for block in blocks {
        for (index, (layer, parameters)) in zip(block.layers, block.plan.layers).enumerated() {
          fold(
            parameters.normalization1, block.plan.slabs, prefix: block.plan.inputSlabs(of: index), layer.scale,
            layer.shift)
          let channels = parameters.input.channels
          var scaled = [Float](values[parameters.convolution1.weight])
          block.plan.bottleneck.forEachChannel { channel, lane in
            let (scale, shift) = affine(parameters.normalization2, channel)
            for input in channel * channels..<(channel + 1) * channels {
              scaled[input] = Float(Double(scaled[input]) * scale)
            }
            layer.bias[lane] = Float(shift)
          }
          packing1(block.plan, index).pack(scaled, into: layer.weights1, .whole)
          packing2(block.plan).pack(weights + parameters.convolution2.weight.lowerBound, into: layer.weights2, .whole)
        }
        if let transition = block.plan.transition {
          fold(transition.normalization, block.plan.slabs, block.scale, block.shift)
          packing(transition, block.plan).pack(
            weights + transition.convolution.weight.lowerBound, into: block.weights, .whole)
        } else {
          fold(plan.head.normalization, block.plan.slabs, block.scale, block.shift)
        }
      }
    }
    classifier = Array(values[plan.head.classifierWeight])
    classifierBias = Array(values[plan.head.classifierBias])
  }

  // MARK: Images

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

  private func wait(_ share: Share) { if share.parts > 1 { team.barrier() } }

  private func forward(
    _ image: UnsafePointer<Float>, _ maps: Maps, _ tiles: Tiles, _ share: Share
  ) {
    stem(image, maps, share, tiles.pixels)
    wait(share)
    for (index, block) in blocks.enumerated() {
      for layer in block.layers.indices {
        bottleneck(block, layer, maps.slabs[index], maps.bottlenecks[index], share, tiles.pixels)
        wait(share)
        growth(block, layer, maps.slabs[index], maps.bottlenecks[index], share, tiles)
        wait(share)
      }
      if let transition = block.plan.transition {
        pool(block, transition, maps.slabs[index], into: maps.slabs[index + 1], share, tiles.pixels)
        wait(share)
      }
    }
  }

  private func stem(
    _ image: UnsafePointer<Float>, _ maps: Maps, _ share: Share, _ tile: UnsafeMutablePointer<Float>
  ) {
    let (input, convolved, output) = (plan.stem.image, plan.stem.convolved, plan.stem.output)
    let (channels, pitch) = (input.channels, plan.paddedImagePitch)
    for y in share.range(input.height) {
      kernels.packing.interleave(
        maps.image + (y + 3) * pitch + 3 * channels, image + y * input.width, channels, input.area, input.width)
    }
    wait(share)
    // Rows of the convolution live in a ring of four until the pool has seen them.
    let rowSize = convolved.width * ChannelSlabs.lanes
    func ring(_ row: Int, _ slab: Int) -> UnsafeMutablePointer<Float>? {
      row < 0 || row >= convolved.height ? nil : tile + (row % 4 * stemSlabs.count + slab) * rowSize
    }
    let rows = share.range(output.height)
    var next = max(0, 2 * rows.lowerBound - 1)
    for row in rows {
      while next < min(2 * row + 2, convolved.height) {
        for slab in 0..<stemSlabs.count {
          guard let out = ring(next, slab) else { continue }
          var tile = ck_tile(
            input: maps.image + 2 * next * pitch, segment: stemRows, segments: 7, depth: plan.stemDepth,
            stride: 2 * channels, input_pitch: 0,
            weights: stemWeights + slab * 7 * plan.stemDepth * ChannelSlabs.lanes, output: out, output_pitch: 0,
            rows: 1, width: convolved.width, fetch: .none)
          kernels.convolution.store(&tile)
        }
        next += 1
      }
      for slab in 0..<stemSlabs.count {
        guard let middle = ring(2 * row, slab) else { continue }
        kernels.pooling.max_pool(
          maps.slabs[0].at(slab, pixel: row * output.width), ring(2 * row - 1, slab), middle, ring(2 * row + 1, slab),
          stemScale + slab * ChannelSlabs.lanes, stemShift + slab * ChannelSlabs.lanes, convolved.width)
      }
    }
  }

  /// A 1×1 convolution of the first `slabs` slabs of a tile of pixels that lie end to end.
  private func pointwise(
    _ block: Block, slabs: Int, _ tile: UnsafeMutablePointer<Float>, weights: UnsafeMutablePointer<Float>, output: Int,
    into out: UnsafeMutablePointer<Float>, pixels: Int, fetching fetch: ck_fetch = .none
  ) -> ck_tile {
    ck_tile(
      input: tile, segment: block.tileSegments, segments: slabs, depth: ChannelSlabs.lanes, stride: ChannelSlabs.lanes,
      input_pitch: 0, weights: weights + output * slabs * ChannelSlabs.lanes * ChannelSlabs.lanes, output: out,
      output_pitch: 0, rows: 1, width: pixels, fetch: fetch)
  }

  private func bottleneck(
    _ block: Block, _ index: Int, _ slabs: SlabMap, _ out: SlabMap, _ share: Share, _ tile: UnsafeMutablePointer<Float>
  ) {
    let layer = block.layers[index]
    let inputs = block.plan.inputSlabs(of: index)
    share.range(block.plan.area).forEachBand(of: CPUPlan.tilePixels(slabs: inputs)) { pixels in
      let next = ck_fetch(slabs, pixel: pixels.upperBound, pixels: pixels.count, slabs: inputs)
      for slab in 0..<inputs {
        kernels.packing.normalize(
          tile + block.tileSegments[slab], slabs.at(slab, pixel: pixels.lowerBound),
          layer.scale + slab * ChannelSlabs.lanes, layer.shift + slab * ChannelSlabs.lanes, pixels.count)
      }
      for output in 0..<block.plan.bottleneck.count {
        var tile = pointwise(
          block, slabs: inputs, tile, weights: layer.weights1, output: output,
          into: out.at(output, pixel: pixels.lowerBound), pixels: pixels.count,
          fetching: next.part(output, of: block.plan.bottleneck.count))
        kernels.convolution.store_rectified(&tile, layer.bias + output * ChannelSlabs.lanes)
      }
    }
  }

  private func growth(_ block: Block, _ index: Int, _ slabs: SlabMap, _ input: SlabMap, _ share: Share, _ tiles: Tiles) {
    let (plan, winograd) = (block.plan, Winograd(kernels: kernels))
    let (inputs, outputs) = (plan.bottleneck.count, plan.growth.count)
    share.range(Winograd.tiles(height: plan.height, width: plan.width)).forEachBand(of: Winograd.chunk) { chunk in
      var part = ck_tiles(height: plan.height, width: plan.width, first: chunk.lowerBound, count: chunk.count)
      for slab in 0..<inputs {
        kernels.winograd.transform_normalized(
          tiles.transformed + slab * Winograd.slabPitch, Winograd.pitch(slabs: inputs), input.at(slab), neutralScale,
          neutralShift, &part)
      }
      winograd.multiply(
        tiles.transformed, slabs: inputs, by: block.layers[index].weights2, into: tiles.products, slabs: outputs,
        0..<outputs, tiles: chunk.count, fetching: Winograd.next(part, input, from: 0, slabs: inputs))
      for output in 0..<outputs {
        kernels.winograd.gather(
          slabs.at(plan.inputSlabs(of: index) + output), tiles.products + output * Winograd.slabPitch,
          Winograd.pitch(slabs: outputs), &part)
      }
    }
  }

  /// A transition: average pool and 1×1 convolution commute, so the pool comes first and the convolution has a quarter of the work.
  private func pool(
    _ block: Block, _ transition: Transition, _ slabs: SlabMap, into out: SlabMap, _ share: Share,
    _ tile: UnsafeMutablePointer<Float>
  ) {
    let (count, width) = (block.plan.slabs.count, transition.output.width)
    let rowsOfTile = min(CPUPlan.bandRows(width: width, slabs: count), max(1, block.tilePixels / width))
    share.range(transition.output.height).forEachBand(of: rowsOfTile) { rows in
      for slab in 0..<count {
        kernels.packing.normalize_pooled(
          tile + block.tileSegments[slab], slabs.at(slab, pixel: 2 * rows.lowerBound * block.plan.width),
          block.scale + slab * ChannelSlabs.lanes, block.shift + slab * ChannelSlabs.lanes, rows.count, width,
          block.plan.width)
      }
      for output in 0..<ChannelSlabs(transition.output.channels).count {
        var tile = pointwise(
          block, slabs: count, tile, weights: block.weights, output: output,
          into: out.at(output, pixel: rows.lowerBound * width), pixels: rows.count * width)
        kernels.convolution.store(&tile)
      }
    }
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
    block.plan.slabs.forEachChannel { channel, lane in
      for pixel in 0..<block.plan.area {
        let x = slabs.at(lane / ChannelSlabs.lanes, pixel: pixel)[lane % ChannelSlabs.lanes]
        let value = block.scale[lane] * x + block.shift[lane]
        features[channel * block.plan.area + pixel] = value < floor ? floor : value
      }
    }
  }
}
