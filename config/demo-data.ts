/** The pictures are in public/products. */
export const demoProducts = [
  {
    sku: 'camel-overcoat',
    name: 'Camel overcoat',
    description: 'Long, soft and warm. For people who arrive late and are forgiven.',
    priceCents: 28900,
  },
  {
    sku: 'sand-trench',
    name: 'Sand trench coat',
    description: 'Ten buttons, one belt, and a collar made for turning up.',
    priceCents: 24900,
  },
  {
    sku: 'harbour-raincoat',
    name: 'Harbour raincoat',
    description: 'Yellow, hooded, and quite sure that it will rain.',
    priceCents: 13900,
  },
  {
    sku: 'navy-peacoat',
    name: 'Navy pea coat',
    description: 'Short, double-breasted, with pockets deep enough for both hands.',
    priceCents: 19900,
  },
  {
    sku: 'green-duffle',
    name: 'Green duffle coat',
    description: 'Horn toggles and a hood. Marmalade not included.',
    priceCents: 21900,
  },
  {
    sku: 'felt-fedora',
    name: 'Felt fedora',
    description: 'A pinched crown and a grosgrain band. Tips well.',
    priceCents: 7900,
  },
  {
    sku: 'bowler-hat',
    name: 'Bowler hat',
    description: 'Hard felt, round as a full stop.',
    priceCents: 8900,
  },
  {
    sku: 'wool-beret',
    name: 'Wool beret',
    description: 'Oxblood red. Folds into the smallest pocket.',
    priceCents: 3900,
  },
  {
    sku: 'walking-umbrella',
    name: 'Walking umbrella',
    description: 'A cherry-wood handle and eight ribs. Also a fine cane.',
    priceCents: 6900,
  },
  {
    sku: 'striped-umbrella',
    name: 'Striped umbrella',
    description: 'A dome that keeps two people dry if they like each other.',
    priceCents: 5900,
  },
];

/** Their passwords are public, so production has none of them unless DEMO_ACCOUNTS=on. */
export const demoAccounts = [
  {
    id: 'acct_ada',
    email: 'ada@cloakroom.test',
    name: 'Ada',
    password: 'analytical-engine',
    passwordHash: '$2b$12$YXg8kGvTukbcsxhcn.OXzO/hjeE4957X4YZYUfRh.A8Pw00jUvzSe',
  },
  {
    id: 'acct_grace',
    email: 'grace@cloakroom.test',
    name: 'Grace',
    password: 'nanosecond-wire',
    passwordHash: '$2b$12$DCSC86kfpPH2psAmXZQoc.XtnueiCqgfKlsczhfy6ntLhqs3Imu7G',
  },
];
