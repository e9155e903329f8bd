"""What people read when something is refused: a sentence for the cashier, one for the shopper, and what would help.

Chosen by reason and language; placeholders are filled from the refusal's facts, and every sentence of a reason
may use only the facts that the reason carries (a test renders each one).
"""

from collections.abc import Mapping
from typing import NamedTuple

from engagement.refusal.reason import Reason


class Sentences(NamedTuple):
    """``remedy`` says what would make the same request pass; empty when nothing would."""

    cashier: str
    shopper: str
    remedy: str


EN: Mapping[Reason, Sentences] = {
    Reason.NOT_OURS: Sentences(
        "This is not one of our coupon codes.",
        "This code is not one of our coupons.",
        "Scan the code shown in the shopper's wallet on the store Wi-Fi.",
    ),
    Reason.DAMAGED: Sentences(
        "The code did not come through whole.",
        "Your code could not be read.",
        "Scan again with the screen bright, or type the short code and compare all 20 digits.",
    ),
    Reason.FORGED: Sentences(
        "This code was not issued by us: its seal does not match.",
        "This coupon is not genuine.",
        "",
    ),
    Reason.EXPIRED: Sentences(
        "This coupon expired on {expired_at}.",
        "Your coupon expired on {expired_at}.",
        "",
    ),
    Reason.NOT_YET_VALID: Sentences(
        "This coupon can be used from {valid_from}.",
        "You can use your coupon from {valid_from}.",
        "Come back from {valid_from} on.",
    ),
    Reason.ALREADY_REDEEMED: Sentences(
        "This coupon was already used on {redeemed_at} (till {till}, order {order}).",
        "Your coupon was already used on {redeemed_at}.",
        "If that was a mistake, undo that redemption within 10 minutes of it.",
    ),
    Reason.RESERVED_ELSEWHERE: Sentences(
        "Another till is just redeeming this coupon.",
        "Your coupon is in use at another till.",
        "Wait a moment and scan again.",
    ),
    Reason.VOIDED: Sentences("This coupon was withdrawn.", "Your coupon was withdrawn.", ""),
    Reason.WRONG_BRANCH: Sentences(
        "This coupon belongs to another branch.",
        "Your coupon belongs to another of our stores.",
        "Use it in the store that gave it.",
    ),
    Reason.WRONG_MERCHANT: Sentences(
        "This coupon is for another merchant.",
        "Your coupon is for another shop.",
        "Use it in the shop that its terms name.",
    ),
    Reason.REVOKED: Sentences("HQ has revoked this coupon.", "Your coupon was revoked.", ""),
    Reason.GIVEN_AWAY: Sentences(
        "This coupon was given to somebody else; the old code is void.",
        "You gave this coupon away.",
        "The new owner shows the new code.",
    ),
    Reason.BELOW_MIN_SPEND: Sentences(
        "The basket is {short_by} short of the {min_spend} that this coupon needs.",
        "Your coupon works from {min_spend}: {short_by} to go.",
        "Add {short_by} or more to the basket.",
    ),
    Reason.LIMIT_REACHED: Sentences(
        "This shopper has used as many coupons of this campaign as one person may.",
        "You have reached this offer's limit per person.",
        "",
    ),
    Reason.NEEDS_LINE: Sentences(
        "This coupon can only be checked with HQ, and the line is down.",
        "Your coupon cannot be checked right now.",
        "Try again when the line to HQ is back.",
    ),
    Reason.UNKNOWN_CODE: Sentences(
        "No coupon has this code.",
        "We do not know this code.",
        "Check the digits, or scan the QR code.",
    ),
    Reason.CAMPAIGN_STOPPED: Sentences(
        "The campaign of this coupon has been stopped.",
        "This offer has ended early.",
        "",
    ),
    Reason.TOO_MANY_TRIES: Sentences(
        "Too many wrong codes on this till. It takes codes again at {again_at}.",
        "Please wait a moment; the till is taking a short break.",
        "Wait until {again_at}.",
    ),
    Reason.STORED_ELSEWHERE: Sentences(
        "Another mini-PC of this store keeps this coupon, and it does not answer.",
        "Your coupon cannot be reached right now.",
        "Check that the other mini-PC is switched on, then scan again.",
    ),
    Reason.WRONG_CURRENCY: Sentences(
        "The coupon is in {coupon_currency}, the basket in {basket_currency}.",
        "Your coupon is for {coupon_currency}.",
        "Ring the basket up in {coupon_currency}.",
    ),
    Reason.NOT_WITH_OTHERS: Sentences(
        "This coupon cannot be combined with another one on this order.",
        "Your coupon cannot be combined with the other one.",
        "Use it on an order of its own.",
    ),
    Reason.REQUEST_REUSED: Sentences(
        "The till sent this request number before for another coupon.",
        "The till needs to try again.",
        "Scan again; the till then makes a new request number.",
    ),
    Reason.ORDER_CLOSED: Sentences(
        "This order was already closed at {basket}.",
        "Your order is already closed.",
        "Start a new order.",
    ),
    Reason.UNKNOWN_REDEMPTION: Sentences(
        "There is no redemption with this number.", "There is nothing to undo.", "Check the number."
    ),
    Reason.UNDO_TOO_LATE: Sentences(
        "A redemption can be undone for 10 minutes; this one was at {redeemed_at}.",
        "It is too late to undo this.",
        "",
    ),
    Reason.NO_CONSENT: Sentences(
        "The shopper has not accepted the terms yet.",
        "Please accept the terms first.",
        "Tick the box for the terms and go on.",
    ),
    Reason.UNKNOWN_CAMPAIGN: Sentences(
        "No such campaign runs in this branch.", "We do not know this game.", "Open the welcome page again."
    ),
    Reason.NOT_RUNNING: Sentences(
        "This campaign is not running now.", "This offer is not running right now.", "Come back later."
    ),
    Reason.SOLD_OUT: Sentences(
        "Every coupon of this campaign has been given out.",
        "All coupons of this offer have been given out.",
        "",
    ),
    Reason.PLAYED_ENOUGH: Sentences(
        "This shopper has played as often as the rules allow today.",
        "That was your last try for today.",
        "Come back tomorrow.",
    ),
    Reason.TOO_BUSY: Sentences(
        "Too many requests in a short time.",
        "That was a lot at once. Please wait a little before you try again.",
        "",
    ),
    Reason.STORE_FULL: Sentences(
        "The mini-PC's disk is full: it still redeems, but gives nothing new.",
        "We cannot give new offers at the moment. Coupons you have still work.",
        "Ask HQ to free space on the mini-PC.",
    ),
    Reason.UNKNOWN_MEMBER_CODE: Sentences(
        "No member has this code.", "We do not know this member code.", "Check the code on your tag or card."
    ),
}  # fmt: skip

ZH_HANS: Mapping[Reason, Sentences] = {
    Reason.NOT_OURS: Sentences(
        "这不是本店的优惠券码。", "这个码不是我们的优惠券。", "请扫描顾客在店内 Wi-Fi 卡包里显示的码。"
    ),
    Reason.DAMAGED: Sentences(
        "优惠券码没有读完整。", "您的码没能读出来。", "请调亮屏幕再扫一次，或输入短码并核对全部 20 位。"
    ),
    Reason.FORGED: Sentences("此码不是我们发出的：签名不符。", "这张优惠券不是真的。", ""),
    Reason.EXPIRED: Sentences("此券已于 {expired_at} 过期。", "您的优惠券已于 {expired_at} 过期。", ""),
    Reason.NOT_YET_VALID: Sentences(
        "此券从 {valid_from} 起可用。", "您的优惠券从 {valid_from} 起可用。", "请在 {valid_from} 之后再来。"
    ),
    Reason.ALREADY_REDEEMED: Sentences(
        "此券已于 {redeemed_at} 用过（收银台 {till}，订单 {order}）。",
        "您的优惠券已于 {redeemed_at} 用过。",
        "如属误操作，可在核销后 10 分钟内撤销。",
    ),
    Reason.RESERVED_ELSEWHERE: Sentences(
        "另一个收银台正在核销此券。", "您的优惠券正在另一个收银台使用。", "请稍等片刻再扫。"
    ),
    Reason.VOIDED: Sentences("此券已作废。", "您的优惠券已作废。", ""),
    Reason.WRONG_BRANCH: Sentences(
        "此券属于另一家门店。", "您的优惠券属于我们的另一家门店。", "请到发券的门店使用。"
    ),
    Reason.WRONG_MERCHANT: Sentences(
        "此券属于另一个商户。", "您的优惠券属于另一家店。", "请到券面注明的商户使用。"
    ),
    Reason.REVOKED: Sentences("总部已撤回此券。", "您的优惠券已被撤回。", ""),
    Reason.GIVEN_AWAY: Sentences(
        "此券已转赠他人，旧码失效。", "您已把这张券送出。", "请由新持有人出示新码。"
    ),
    Reason.BELOW_MIN_SPEND: Sentences(
        "此券需满 {min_spend}，还差 {short_by}。",
        "满 {min_spend} 可用，还差 {short_by}。",
        "再加购 {short_by} 即可。",
    ),
    Reason.LIMIT_REACHED: Sentences(
        "该顾客使用本活动优惠券已达每人上限。", "您已达到本活动的每人上限。", ""
    ),
    Reason.NEEDS_LINE: Sentences(
        "此券须与总部核对，而线路中断。", "暂时无法核对您的优惠券。", "线路恢复后再试。"
    ),
    Reason.UNKNOWN_CODE: Sentences("没有这个券码。", "我们查不到这个码。", "请核对数字，或扫描二维码。"),
    Reason.CAMPAIGN_STOPPED: Sentences("此券所属活动已停止。", "本活动已提前结束。", ""),
    Reason.TOO_MANY_TRIES: Sentences(
        "本收银台错误券码过多，{again_at} 后恢复。", "请稍候，收银台马上恢复。", "请等到 {again_at}。"
    ),
    Reason.STORED_ELSEWHERE: Sentences(
        "此券由店内另一台主机保管，而它没有应答。", "暂时无法读取您的优惠券。", "请确认另一台主机已开机后再扫。"
    ),
    Reason.WRONG_CURRENCY: Sentences(
        "此券为 {coupon_currency}，订单为 {basket_currency}。",
        "您的优惠券仅限 {coupon_currency}。",
        "请以 {coupon_currency} 结账。",
    ),
    Reason.NOT_WITH_OTHERS: Sentences(
        "此券不能与本单的其他券叠加。", "您的优惠券不能与另一张叠加使用。", "请单独用于一笔订单。"
    ),
    Reason.REQUEST_REUSED: Sentences(
        "收银台曾为另一张券用过同一请求号。", "收银台需要重试一次。", "请重新扫码，收银台会生成新的请求号。"
    ),
    Reason.ORDER_CLOSED: Sentences("本单已按 {basket} 结清。", "您的订单已结清。", "请新开一单。"),
    Reason.UNKNOWN_REDEMPTION: Sentences("没有这个核销号。", "没有可撤销的内容。", "请核对号码。"),
    Reason.UNDO_TOO_LATE: Sentences(
        "核销后 10 分钟内可撤销；此笔核销于 {redeemed_at}。", "已超过可撤销时间。", ""
    ),
    Reason.NO_CONSENT: Sentences("顾客尚未同意条款。", "请先同意条款。", "勾选同意条款后继续。"),
    Reason.UNKNOWN_CAMPAIGN: Sentences("本店没有这个活动。", "我们查不到这个活动。", "请重新打开欢迎页。"),
    Reason.NOT_RUNNING: Sentences("该活动当前未进行。", "该活动当前未进行。", "请稍后再来。"),
    Reason.SOLD_OUT: Sentences("该活动的优惠券已发完。", "优惠券已全部发完。", ""),
    Reason.PLAYED_ENOUGH: Sentences("该顾客今天的次数已用完。", "您今天的机会已用完。", "明天再来吧。"),
    Reason.TOO_BUSY: Sentences("短时间内请求过多。", "操作太频繁啦，请稍后再试。", ""),
    Reason.STORE_FULL: Sentences(
        "主机磁盘已满：仍可核销，但不再发放新券。", "暂时无法发放新优惠，已有的券照常可用。", "请联系总部清理磁盘。"
    ),
    Reason.UNKNOWN_MEMBER_CODE: Sentences(
        "没有这个会员码。", "我们查不到这个会员码。", "请核对会员牌或会员卡上的码。"
    ),
}  # fmt: skip

CATALOGUE: Mapping[str, Mapping[Reason, Sentences]] = {"en": EN, "zh-Hans": ZH_HANS}


def sentences(reason: Reason, language: str, facts: Mapping[str, str]) -> Sentences:
    """The three sentences with the facts filled in. Errors: KeyError for a language or a fact that is missing."""
    template = CATALOGUE[language][reason]
    return Sentences(*(part.format_map(facts) for part in template))
