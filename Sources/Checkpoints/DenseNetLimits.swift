/// The networks that files may describe: far more than any DenseNet in use, and so little that no product of their numbers
/// overflows and no layout of them is unreasonably large.
enum DenseNetLimits {
  private static let growthRates = 1...512
  private static let blockCounts = 1...8
  private static let layers = 1...512
  private static let stems = 1...4096
  private static let classCounts = 1...100_000

  static func contain(growthRate: Int, blockSizes: [Int], stem: Int, channels: Int, classes: Int) -> Bool {
    growthRates.contains(growthRate) && blockCounts.contains(blockSizes.count) && blockSizes.allSatisfy(layers.contains)
      && stems.contains(stem) && (channels == 1 || channels == 3) && classCounts.contains(classes)
  }
}
