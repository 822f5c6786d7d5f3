import CKernels
import Testing

@Suite struct PackingTests {
  @Test(arguments: [1, 3, 4, 7, 30]) func `runs of pixels are normalised and resolved as the reference does`(
    pixels: Int
  ) {
    expectSameOfEveryLevel([pixels * 32, pixels * 32, 32, 32, pixels * 32], seed: 1, "\(pixels) pixels") {
      kernels, arrays in
      kernels.packing.normalize(arrays[0], arrays[1], arrays[2], arrays[3], pixels)
      let line = ck_line(constant: arrays[2], slope: arrays[3])
      withUnsafePointer(to: line) { kernels.packing.resolve(arrays[4], arrays[0], arrays[1], $0, pixels) }
    }
  }

  @Test(arguments: [(1, 2), (2, 3), (3, 8), (2, 9)])
  func `pools of odd and even widths are the reference's`(rows: Int, width: Int) {
    let (out, map) = (rows * (width / 2) * 32, 2 * rows * width * 32)
    expectSameOfEveryLevel([out, map, 32, 32, map, map, 32, 32, 32], seed: 3, "\(rows) rows of \(width)") {
      kernels, arrays in
      kernels.packing.normalize_pooled(arrays[0], arrays[1], arrays[2], arrays[3], rows, width / 2, width)
      let gate = ck_gate(
        activation: arrays[5], activation_pitch: 0, x: arrays[1], mean: arrays[6], scale: arrays[2], sum: arrays[7],
        product: arrays[8])
      withUnsafePointer(to: gate) {
        kernels.pooling.average_unpool(arrays[4], arrays[0], arrays[3], $0, rows, width / 2, width)
      }
    }
  }
}

@Suite struct PoolingTests {
  @Test(arguments: [(1, 1), (2, 2), (3, 5), (6, 7), (5, 8)])
  func `the maximum's pool and gradient are the reference's`(height: Int, width: Int) {
    let (map, pooled) = (height * width * 32, (height + 1) / 2 * ((width + 1) / 2) * 32)
    expectSameOfEveryLevel([map, pooled, pooled, 32, 32, map], seed: 4, "\(height)×\(width)") { kernels, arrays in
      for row in 0..<(height + 1) / 2 {
        let rows = (2 * row - 1...2 * row + 1).map { $0 < 0 || $0 >= height ? nil : arrays[0] + $0 * width * 32 }
        guard let middle = rows[1] else { continue }
        let out = arrays[1] + row * ((width + 1) / 2) * 32
        kernels.pooling.max_pool(out, rows[0], middle, rows[2], arrays[3], arrays[4], width)
      }
      kernels.pooling.max_unpool(
        arrays[5], arrays[0], arrays[1], arrays[2], arrays[3], arrays[4], height, width)
    }
  }

  @Test(arguments: [1, 2, 49]) func `the head and the sums are the reference's`(pixels: Int) {
    for floor in [0, -Float.infinity] {
      expectSameOfEveryLevel(
        [32, pixels * 32, 32, 32, pixels * 32, 32, 32, 32, 32], seed: 5, "\(pixels) pixels, floor \(floor)"
      ) { kernels, arrays in
        kernels.pooling.head_sum(arrays[0], arrays[1], arrays[2], arrays[3], floor, pixels)
        let gate = ck_gate(
          activation: arrays[1], activation_pitch: 0, x: arrays[1], mean: arrays[6], scale: arrays[2], sum: arrays[7],
          product: arrays[8])
        withUnsafePointer(to: gate) {
          kernels.pooling.head_unpool(arrays[4], arrays[5], arrays[3], floor, $0, pixels)
        }
        kernels.pooling.sums(arrays[1], arrays[6], arrays[7], arrays[8], pixels)
        withUnsafePointer(to: gate) { kernels.pooling.scale_summed(arrays[4], $0, pixels) }
      }
    }
  }
}

@Suite struct OptimizerTests {
  @Test(arguments: [1, 15, 16, 1000]) func `steps and norms are the reference's`(count: Int) {
    for isFirst: Int32 in [0, 1] {
      expectSameOfEveryLevel([count, count, count, count], seed: 6, "\(count) elements") { kernels, arrays in
        for index in 0..<count { arrays[2][index] = abs(arrays[2][index]) }
        let sgd = ck_sgd_step(
          gradient_scale: 0.5, decay: 0.01, rate: 0.1, momentum: 0.9, nesterov: isFirst, first_step: isFirst)
        withUnsafePointer(to: sgd) { kernels.optimizer.sgd(arrays[0], arrays[1], arrays[3], $0, count) }
        let adam = ck_adam_step(
          gradient_scale: 0.5, decay: 0.01, shrink: 0.999, beta1: 0.9, beta2: 0.999, rest1: 0.1, rest2: 0.001,
          step_size: 0.01, root: 0.5, epsilon: 1e-8)
        withUnsafePointer(to: adam) { kernels.optimizer.adam(arrays[0], arrays[1], arrays[2], arrays[3], $0, count) }
        arrays[0][0] = Float(kernels.optimizer.sum_of_squares(arrays[1], count))
      }
    }
  }
}
