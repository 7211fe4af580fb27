"""List query parameters that say who follows a link and never what it leads to.

Reviewed by hand: each is what its issuer's own documentation says it appends to links of others,
or what the query-stripping lists of Firefox and Brave remove. Parameters that a site may also use
for what it shows (`ref`, `source`, `s`, `t`, `si`) are left out: dropping one would make two
pages the same. A change of the table changes decisions.
"""

from __future__ import annotations

PREFIXES = ("utm_",)  # Google Analytics campaigns, and everyone who copied them
NAMES = frozenset({
    # Google: Ads, Display, Analytics across domains, Merchant Center
    "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "gad_source", "gad_campaignid", "_ga", "_gl",
    "srsltid",
    # Meta: Facebook, Instagram
    "fbclid", "fb_action_ids", "fb_action_types", "fb_source", "fb_ref", "igshid", "igsh",
    # Microsoft, X, TikTok, LinkedIn, Pinterest, Snapchat, Reddit
    "msclkid", "twclid", "ttclid", "li_fat_id", "epik", "sccid", "rdt_cid",
    # Yandex, Mail.ru
    "yclid", "ysclid", "ymclid", "_openstat",
    # Mail: Mailchimp, HubSpot, Marketo, Klaviyo, Omeda, Vero, Drip, Bronto
    "mc_cid", "mc_eid", "_hsenc", "_hsmi", "__hssc", "__hstc", "__hsfp", "hsctatracking",
    "mkt_tok", "_kx", "oly_anon_id", "oly_enc_id", "vero_id", "vero_conv", "__s", "_bta_tid",
    "_bta_c",
    # Affiliates and attribution: Impact, Branch, Adobe, Wicked Reports, Taboola
    "irclickid", "_branch_match_id", "s_cid", "s_kwcid", "ef_id", "wickedid", "tblci",
    # Matomo
    "mtm_campaign", "mtm_cid", "mtm_content", "mtm_group", "mtm_keyword", "mtm_medium",
    "mtm_placement", "mtm_source",
})  # fmt: skip
