import ChestXray

/// What Wang et al. published of the maps of their own networks, over all 984 boxes of `BBox_List_2017.csv`: Table 4 of
/// "ChestX-ray8" (CVPR 2017), and Tables 7 and 19 of the supplement in arXiv:1705.02315v5.
///
/// Read in that text. Each accuracy is a whole number of the finding's boxes and each average of false positives a whole
/// number of 984ths (`LocalizationPublishedTests`), which a slip would hardly be.
struct PublishedLocalization: Sendable {
  /// Of the paper.
  let table: Int
  let network: String
  let criterion: LocalizationCriterion
  /// For each threshold of the criterion, of each finding: the share of its boxes that were found, to four decimals,
  /// some of them cut off and not rounded.
  let accuracy: [[Double]]
  /// Likewise, their average false positives (AFP).
  let falsePositives: [[Double]]

  /// The columns of the tables, and how many boxes each finding has.
  static let findings: [(finding: Finding, boxes: Int)] = [
    (.atelectasis, 180), (.cardiomegaly, 146), (.effusion, 153), (.infiltration, 123), (.mass, 85), (.nodule, 79),
    (.pneumonia, 120), (.pneumothorax, 98),
  ]

  /// Of one finding, for each threshold; nil where the paper has none.
  func values(_ finding: Finding) -> (boxes: Int, accuracy: [Double], falsePositives: [Double])? {
    guard let column = Self.findings.firstIndex(where: { $0.finding == finding }) else { return nil }
    return (Self.findings[column].boxes, accuracy.map { $0[column] }, falsePositives.map { $0[column] })
  }

  static func tables(_ criterion: LocalizationCriterion) -> [PublishedLocalization] {
    switch criterion {
    case .iobb: [table4, table19]
    case .iou: [table7]
    }
  }

  private static let table4 = PublishedLocalization(
    table: 4, network: "ChestX-ray8", criterion: .iobb,
    accuracy: [
      [0.7277, 0.9931, 0.7124, 0.7886, 0.4352, 0.1645, 0.7500, 0.4591],
      [0.5500, 0.9794, 0.5424, 0.5772, 0.2823, 0.0506, 0.5583, 0.3469],
      [0.2833, 0.8767, 0.3333, 0.4227, 0.1411, 0.0126, 0.3833, 0.1836],
      [0.1666, 0.7260, 0.2418, 0.3252, 0.1176, 0.0126, 0.2583, 0.1020],
      [0.1333, 0.6849, 0.2091, 0.2520, 0.0588, 0.0126, 0.2416, 0.0816],
    ],
    falsePositives: [
      [0.8323, 0.3506, 0.7998, 0.5589, 0.6423, 0.6047, 0.9055, 0.4776],
      [0.9167, 0.4553, 0.8598, 0.6077, 0.6707, 0.6158, 0.9614, 0.5000],
      [1.0203, 0.5630, 0.9268, 0.6585, 0.6941, 0.6189, 1.0132, 0.5285],
      [1.0619, 0.6616, 0.9603, 0.6921, 0.7043, 0.6199, 1.0569, 0.5396],
      [1.0752, 0.7226, 0.9797, 0.7124, 0.7144, 0.6199, 1.0732, 0.5437],
    ])

  private static let table7 = PublishedLocalization(
    table: 7, network: "ChestX-ray8", criterion: .iou,
    accuracy: [
      [0.6888, 0.9383, 0.6601, 0.7073, 0.4000, 0.1392, 0.6333, 0.3775],
      [0.4722, 0.6849, 0.4509, 0.4796, 0.2588, 0.0506, 0.3500, 0.2346],
      [0.2444, 0.4589, 0.3006, 0.2764, 0.1529, 0.0379, 0.1666, 0.1326],
      [0.0944, 0.2808, 0.2026, 0.1219, 0.0705, 0.0126, 0.0750, 0.0714],
      [0.0500, 0.1780, 0.1111, 0.0650, 0.0117, 0.0126, 0.0333, 0.0306],
      [0.0222, 0.0753, 0.0457, 0.0243, 0.0000, 0.0126, 0.0166, 0.0306],
      [0.0055, 0.0273, 0.0196, 0.0000, 0.0000, 0.0000, 0.0083, 0.0204],
    ],
    falsePositives: [
      [0.8943, 0.5996, 0.8343, 0.6250, 0.6666, 0.6077, 1.0203, 0.4949],
      [0.9827, 0.7205, 0.9096, 0.6849, 0.6941, 0.6158, 1.0793, 0.5173],
      [1.0417, 0.7815, 0.9472, 0.7236, 0.7073, 0.6168, 1.1067, 0.5325],
      [1.0783, 0.8140, 0.9705, 0.7489, 0.7164, 0.6189, 1.1239, 0.5427],
      [1.0884, 0.8354, 0.9919, 0.7571, 0.7215, 0.6189, 1.1291, 0.5478],
      [1.0935, 0.8506, 1.0051, 0.7632, 0.7226, 0.6189, 1.1321, 0.5478],
      [1.0965, 0.8577, 1.0090, 0.7663, 0.7226, 0.6199, 1.1331, 0.5488],
    ])

  private static let table19 = PublishedLocalization(
    table: 19, network: "ChestX-ray14", criterion: .iobb,
    accuracy: [
      [0.6222, 1.0000, 0.7974, 0.9106, 0.5882, 0.1519, 0.8583, 0.5204],
      [0.3944, 0.9863, 0.6339, 0.7967, 0.4588, 0.0506, 0.7083, 0.3367],
      [0.1944, 0.9452, 0.4183, 0.6504, 0.3058, 0.0000, 0.4833, 0.2653],
      [0.0889, 0.8151, 0.2287, 0.4390, 0.1647, 0.0000, 0.2917, 0.1735],
      [0.0722, 0.6507, 0.1373, 0.3577, 0.0941, 0.0000, 0.2333, 0.1224],
    ],
    falsePositives: [
      [0.8293, 0.1768, 0.6148, 0.4919, 0.3933, 0.4685, 0.4360, 0.4543],
      [0.9319, 0.2042, 0.6880, 0.5447, 0.4288, 0.4786, 0.4959, 0.4857],
      [0.9979, 0.2785, 0.7652, 0.6006, 0.4604, 0.4827, 0.5630, 0.5030],
      [1.0285, 0.4045, 0.8222, 0.6697, 0.4827, 0.4827, 0.6169, 0.5243],
      [1.0356, 0.4837, 0.8445, 0.7043, 0.4939, 0.4827, 0.6331, 0.5346],
    ])
}
