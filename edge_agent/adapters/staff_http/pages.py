"""All pages of the staff side."""

from aiohttp import web

from edge_agent.adapters.staff_http.entrance import add_entrance
from edge_agent.adapters.staff_http.files import add_files
from edge_agent.adapters.staff_http.live import add_live
from edge_agent.adapters.staff_http.office_pages import add_office
from edge_agent.adapters.staff_http.till_page import add_till


def add_pages(app: web.Application) -> None:
    add_entrance(app)
    add_till(app)
    add_office(app)
    add_live(app)
    add_files(app)
