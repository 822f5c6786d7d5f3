import CKernels
import Platform

/// One image through the network, by one thread or, with a barrier behind each operation, by all.
extension CPUInference {
  private func wait(_ share: Share) { if share.parts > 1 { team.barrier() } }

  func forward(
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
    _ image: UnsafePointer<Float>, _ maps: Maps, _ share: Share, _ tile: Activations
  ) {
    let (input, convolved, output) = (plan.stem.image, plan.stem.convolved, plan.stem.output)
    let (channels, pitch) = (input.channels, plan.paddedImagePitch)
    for y in share.range(input.height) {
      kernels.packing.interleave(
        maps.image.at((y + 3) * pitch + 3 * channels), image + y * input.width, channels, input.area, input.width)
    }
    wait(share)
    // Rows of the convolution live in a ring of four until the pool has seen them.
    let rowSize = convolved.width * ChannelSlabs.lanes
    func ring(_ row: Int, _ slab: Int) -> UnsafeMutableRawPointer? {
      row < 0 || row >= convolved.height ? nil : tile.at((row % 4 * stemSlabs.count + slab) * rowSize)
    }
    let rows = share.range(output.height)
    var next = max(0, 2 * rows.lowerBound - 1)
    for row in rows {
      while next < min(2 * row + 2, convolved.height) {
        for slab in 0..<stemSlabs.count {
          guard let out = ring(next, slab) else { continue }
          var tile = ck_tile(
            input: maps.image.at(2 * next * pitch), segment: stemRows, segments: 7, depth: plan.stemDepth,
            stride: 2 * channels, input_pitch: 0,
            weights: stemWeights.at(slab * 7 * plan.stemDepth * ChannelSlabs.lanes), output: out, output_pitch: 0,
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

  private func bottleneck(
    _ block: Block, _ index: Int, _ slabs: SlabMap, _ out: SlabMap, _ share: Share, _ tile: Activations
  ) {
    let layer = block.layers[index]
    let inputs = block.plan.inputSlabs(of: index)
    share.range(block.plan.area).forEachBand(of: CPUPlan.tilePixels(slabs: inputs)) { pixels in
      let next = ck_fetch(slabs, pixel: pixels.upperBound, pixels: pixels.count, slabs: inputs)
      for slab in 0..<inputs {
        kernels.packing.normalize(
          tile.at(block.tileSegments[slab]), slabs.at(slab, pixel: pixels.lowerBound),
          layer.scale + slab * ChannelSlabs.lanes, layer.shift + slab * ChannelSlabs.lanes, pixels.count)
      }
      for output in 0..<block.plan.bottleneck.count {
        var tile = ck_tile(
          pointwise: tile.base, block.tileSegments, slabs: inputs, weights: layer.weights1, output: output,
          into: out.at(output, pixel: pixels.lowerBound), pixels: pixels.count,
          fetching: next.part(output, of: block.plan.bottleneck.count))
        kernels.convolution.store_rectified(&tile, layer.bias + output * ChannelSlabs.lanes)
      }
    }
  }

  private func growth(_ block: Block, _ index: Int, _ slabs: SlabMap, _ input: SlabMap, _ share: Share, _ tiles: Tiles)
  {
    let (plan, winograd) = (block.plan, Winograd(kernels: kernels))
    let (inputs, outputs) = (plan.bottleneck.count, plan.growth.count)
    share.range(Winograd.tiles(height: plan.height, width: plan.width)).forEachBand(of: Winograd.chunk) { chunk in
      var part = ck_tiles(height: plan.height, width: plan.width, first: chunk.lowerBound, count: chunk.count)
      for slab in 0..<inputs {
        kernels.winograd.transform_normalized(
          tiles.transformed.at(slab * Winograd.slabPitch), Winograd.pitch(slabs: inputs), input.at(slab), neutralScale,
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
    _ tile: Activations
  ) {
    let (count, width) = (block.plan.slabs.count, transition.output.width)
    let rowsOfTile = min(CPUPlan.bandRows(width: width, slabs: count), max(1, block.tilePixels / width))
    share.range(transition.output.height).forEachBand(of: rowsOfTile) { rows in
      for slab in 0..<count {
        kernels.packing.normalize_pooled(
          tile.at(block.tileSegments[slab]), slabs.at(slab, pixel: 2 * rows.lowerBound * block.plan.width),
          block.scale + slab * ChannelSlabs.lanes, block.shift + slab * ChannelSlabs.lanes, rows.count, width,
          block.plan.width)
      }
      for output in 0..<ChannelSlabs(transition.output.channels).count {
        var tile = ck_tile(
          pointwise: tile.base, block.tileSegments, slabs: count, weights: block.weights, output: output,
          into: out.at(output, pixel: rows.lowerBound * width), pixels: rows.count * width)
        kernels.convolution.store(&tile)
      }
    }
  }
}
